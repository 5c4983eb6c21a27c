"""`spikewise`: the console entry point, assembled from one module for each group of commands."""

import contextlib
import errno
import itertools
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spikewise import __version__
from spikewise.cli import (
    audit,
    convert,
    cost,
    data,
    diagnose,
    encode,
    explain,
    export,
    fits,
    importing,
    info,
    paper,
    predict,
    robustness,
    run,
    runs,
    sections,
    serve,
    sweep,
    trace,
    tracking,
    tune,
    use,
    versus,
)
from spikewise.cli.console import complain, prepare_streams, say
from spikewise.cli.places import deciding_option
from spikewise.cli.processes import check_command, may_speak, obey_the_end
from spikewise.errors import SpikewiseError, quoted
from spikewise.memory import freed_memory_kept, memory_limit, ran_out_of_memory
from spikewise.shell import in_command, name_settings_by, word

__all__ = ["app", "main"]

_EPILOGUE = (  # of one line: the terminal breaks it where it ends
    "Exit codes: 0 done, 1 a fault of the program, or something does not hold (`audit`, `data verify`, `doctor`, "
    "`export`, `fits`, `verify`), 2 a mistake in the command, the config or the data (the message says what to do), "
    "130 interrupted with Ctrl-C, 141 nobody read the output."
)
_MISUSE: tuple[type[Exception], ...] = tuple(  # click's, or that of the copy that newer typers carry
    one for one in typer.BadParameter.__mro__ if one.__name__ == "UsageError"
)
_GONE = "The folder in which this command was given is not there any more: go to another, and give it again."
_RESUMABLE = frozenset({"compare", "train", "import", "sweep", "tune", "data"})


class _Commands(TyperGroup):
    """A group of commands that ends quietly when it is interrupted, or when nobody reads its output any more."""

    def invoke(self, ctx: Any) -> Any:  # the context class of click, or of the copy that newer typers carry
        """Run the command that was asked for."""
        given = list(ctx.args)
        try:
            memory = contextlib.nullcontext() if ctx.invoked_subcommand == "serve" else freed_memory_kept()
            with in_command(), memory:
                result = super().invoke(ctx)
            sys.stdout.flush()
        except _MISUSE as error:
            _hint_at_dashes(error, given)
            raise
        except KeyboardInterrupt as stopped:
            resumes = ctx.invoked_subcommand in _RESUMABLE
            usual = "Interrupted. The same command goes on where this one stopped." if resumes else "Interrupted."
            if may_speak():
                say(f"\n{str(stopped) or usual}")
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader has gone, as `head` does; the interpreter must not flush once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None
        return result


app = typer.Typer(
    cls=_Commands,
    name="spikewise",
    help="Is a spiking neural network worth it on these images? Start with: spikewise compare digits",
    epilog=_EPILOGUE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
run.register(app)
sweep.register(app)
tune.register(app)
predict.register(app)
use.register(app)
versus.register(app)
convert.register(app)
paper.register(app)
tracking.register(app)
runs.register(app)
cost.register(app)
serve.register(app)
export.register(app)
fits.register(app)
importing.register(app)
sections.register(app)
robustness.register(app)
explain.register(app)
diagnose.register(app)
trace.register(app)
data.register(app)
audit.register(app)
encode.register(app)
info.register(app)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"spikewise {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
    check_command(ctx.invoked_subcommand)


def _hint_at_dashes(error: Any, arguments: list[str]) -> None:  # the error is click's, or that of typer's copy
    """Say what to do where the name of a file was taken for options, as a pattern of the shell may bring one in."""
    names = itertools.takewhile(lambda one: one != "--", arguments)
    file = next((name for name in names if name.startswith("-") and os.path.lexists(name)), None)
    if file is not None:
        said = error.message.rstrip(".")
        error.message = f"{said}. A name that begins with a dash is given with its folder: {word('./' + file)}"


def main() -> None:
    """Run the command line; every mistake that was foreseen is one message and exit code 2."""
    prepare_streams()
    _silence_libraries()
    obey_the_end()
    name_settings_by(deciding_option)
    if _folder_is_gone():  # PyTorch cannot be loaded there
        complain(_GONE)
        sys.exit(2)
    try:
        app(prog_name="spikewise")
    except SpikewiseError as error:
        if may_speak():
            complain(str(error))
        sys.exit(2)
    except OSError as error:  # asking whether such a path exists raises, too, wherever that is asked
        from spikewise.files import OUTSIDE  # which takes NumPy, for which help does not wait

        refused, gone = ran_out_of_memory(error), _folder_is_gone()
        if error.errno not in OUTSIDE and not refused and not gone:
            raise
        if may_speak():
            complain(_memory_in_words() if refused else _GONE if gone else _in_words(error))
        sys.exit(2)
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        if may_speak():
            complain(_memory_in_words())
        sys.exit(2)


def _memory_in_words() -> str:
    """What to do where memory was refused, and nothing nearer has said how much would have done."""
    return (
        f"The memory was too small for this ({memory_limit() / 2**30:,.1f} GiB for this process and others). Use "
        "smaller images (--set data.size=...), a smaller network (--set model.width=0.5) or fewer steps "
        "(--set encoder.steps=...), or give the process more memory. What is finished is kept."
    )


def _folder_is_gone() -> bool:
    """Whether the folder in which the command was given has been removed: libraries, too, ask where they are."""
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _in_words(error: OSError) -> str:
    """What a disk or the system says to something that nothing else has put into words."""
    if error.errno == errno.ENAMETOOLONG:
        return f"A name in {quoted(error.filename)} is longer than this file system takes: choose a shorter one."
    where = f" {quoted(error.filename2 or error.filename)}" if error.filename else ""
    return f"The system refuses the file{where}: {error.strerror}. Check the disk and the path, and try again."


def _silence_libraries() -> None:
    """What libraries warn programmers of is no word to a user; `python -W` and PYTHONWARNINGS still show it."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        logging.getLogger("matplotlib").setLevel(logging.ERROR)


if __name__ == "__main__":
    main()
