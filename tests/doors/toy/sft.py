from tasks import body
from toy.body import make_with

EFFECT = "1"

if __name__ == "__main__":
    body.main("sft", make_with(EFFECT))
