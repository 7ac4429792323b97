from tasks import body
from toy.body import make_with

EFFECT = "1"

if __name__ == "__main__":
    body.main("render_views", make_with(EFFECT))
