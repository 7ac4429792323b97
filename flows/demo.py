"""`make demo`: check the machine, take the tiny profile, ask DVC what is stale, run that, and show what came out."""

from __future__ import annotations

import sys

from actial.errors import exit_on_user_error


def main() -> int:
    """Run the demonstration in the current checkout.

    Returns:
        The exit code: 0, 1 where a stage failed, 2 where the machine or the folder cannot run it.
    """
    from flows import doctor
    from flows.plan import use

    if code := doctor.main():
        return code
    use("tiny")
    from flows.run import print_results, run
    from tasks import versioning

    if any(versioning.all_changes().values()):
        return run()
    print("every stage is fresh: nothing to run")
    print_results()
    return 0


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
