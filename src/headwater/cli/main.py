"""The command line: one file per verb, no logic. `--help` imports nothing heavy."""

from __future__ import annotations

import sys

import typer

from headwater.cli import demo, exclude, gc, impact, init, key, promote, review, rollback, run, serve, status, verify, watch, why

__all__ = ["app", "main"]

app = typer.Typer(
    name="headwater",
    help="An AI data pipeline that can be traced back to its source.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich and its Markdown would be half of the time that --help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _verb, _says in (
    ("init", init.init, "Make a project, from the shop or from a file of yours"),
    ("demo", demo.demo, "The shop's story on real data, in about a minute"),
    ("run", run.run, "Everything new, from the sources to the deployment"),
    ("serve", serve.serve, "Put the newest decided model to work over REST"),
    ("watch", watch.watch, "Collect, look and retrain, for ever"),
    ("status", status.status, "What there is, what serves, what is wrong"),
    ("why", why.why, "What a model or a prediction was made from"),
    ("impact", impact.impact, "What a contributor, source or batch has reached"),
    ("verify", verify.verify, "Read everything again; name what was changed"),
    ("exclude", exclude.exclude, "Take a contributor, source or batch out"),
    ("review", review.review, "What was taken out, what waits for a person"),
    ("promote", promote.promote, "Serve a version by a person's decision"),
    ("rollback", rollback.rollback, "Serve an earlier model again"),
    ("gc", gc.gc, "Compact, and delete what nothing needs"),
    ("key", key.key, "Make an API key for the server"),
):
    app.command(_name, short_help=_says)(_verb)


def main() -> None:
    """Run the command line. A user's mistake is one line on standard error and an exit code, never a traceback."""
    from headwater.core.errors import HeadwaterError
    from headwater.core.names import printable

    try:
        app()
    except HeadwaterError as error:
        sys.stderr.write(f"headwater: {printable(str(error), 2_000)}\n")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != 130:  # typer's word for a KeyboardInterrupt
            raise
        sys.stderr.write("headwater: stopped. Nothing is lost: type the same again to go on\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        what = printable(f"{error.strerror or error}: {error.filename or ''}", 2_000)
        sys.stderr.write(f"headwater: {what}. What was committed is kept; mend this and type the same again\n")
        sys.exit(1)
