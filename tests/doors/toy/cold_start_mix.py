from tasks import body
from toy.body import make_with

EFFECT = "1"

if __name__ == "__main__":
    body.main("cold_start_mix", make_with(EFFECT))
