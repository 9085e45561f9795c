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
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init", rich_help_panel="Begin")(init.init)
app.command("demo", rich_help_panel="Begin")(demo.demo)
app.command("run", rich_help_panel="Work")(run.run)
app.command("serve", rich_help_panel="Work")(serve.serve)
app.command("watch", rich_help_panel="Work")(watch.watch)
app.command("status", rich_help_panel="Answers")(status.status)
app.command("why", rich_help_panel="Answers")(why.why)
app.command("impact", rich_help_panel="Answers")(impact.impact)
app.command("verify", rich_help_panel="Answers")(verify.verify)
app.command("exclude", rich_help_panel="Care")(exclude.exclude)
app.command("review", rich_help_panel="Care")(review.review)
app.command("promote", rich_help_panel="Care")(promote.promote)
app.command("rollback", rich_help_panel="Care")(rollback.rollback)
app.command("gc", rich_help_panel="Care")(gc.gc)
app.command("key", rich_help_panel="Care")(key.key)


def main() -> None:
    """Run the command line. A user's mistake is one line on standard error and an exit code, never a traceback."""
    from headwater.core.errors import HeadwaterError

    try:
        app()
    except HeadwaterError as error:
        sys.stderr.write(f"headwater: {error}\n")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != 130:  # typer's word for a KeyboardInterrupt
            raise
        sys.stderr.write("headwater: stopped. Nothing is lost: type the same again to go on\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        sys.stderr.write(
            f"headwater: {error.strerror or error}: {error.filename or ''}. What was committed is kept; mend this and type the same again\n"
        )
        sys.exit(1)
