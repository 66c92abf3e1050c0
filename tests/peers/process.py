"""Running other programs, and what is said when they fail."""

import os
import subprocess

# One thread for whoever reads these; engines that have a setting are told by it as well.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "RTEN_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}


class Failure(Exception):
    """Why a peer has no figure for a network."""


def call(command, seconds=1800, cwd=None, **variables):
    """Standard output of a program. Raises Failure with the last lines that it printed when it fails."""
    command = [str(word) for word in command]
    environment = {**os.environ, **ENVIRONMENT, **variables}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds, cwd=cwd, env=environment
        )
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not there; setup.sh builds and installs it") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"no end after {seconds} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        text = " ".join(line.strip() for line in said)[-300:].removeprefix("error: ")
        raise Failure(text or f"exit status {done.returncode}")
    return done.stdout
