"""The command `medley` (and `kubectl medley`): finds the subcommand and hands over to it.

Each subcommand is imported only when it is called, so that `medley plan` and `medley solve` never load kopf or the
Kubernetes client.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from medley_operator.cli.examples import add_examples
from medley_planner.exit_status import ExitStatus, escape_what_the_terminal_lacks

DISTRIBUTION = "medley-operator"
DESCRIPTION = """\
Medley plans and runs the cheapest mix of GPU types that keeps the latency targets of LLM services.

  medley advise                            read a cluster that runs vLLM: cost now, and the cheapest mix beside it
  medley plan -f examples/quickstart/      show what would run and cost, from the YAML that kubectl applies
  medley solve fleet.json                  plan a fleet or bare instance with your own capacity tables
  medley explain -f examples/quickstart/   explain a plan: limits that bind, cost per token, alternatives, changes
  medley estimate --model meta-llama/Llama-3.1-8B-Instruct --gpu H100 --input 1024 --output 256 --rate 4
                                           estimate latency, memory and the largest rate of one replica
  medley model show ./Qwen3-32B            what a checkpoint's files say: weights, KV cache, where it fits
  medley model import hf://org/model       the YAML of spec.model for it, to plan any model
  medley profile run --endpoint http://pod:8000 --model Qwen/Qwen3-32B --gpu H100 --engine-version 0.32.0
                                           load-test a replica, and write its ModelProfile
  medley profile import --from vllm-bench result.json --model Qwen/Qwen3-32B --gpu H100 --engine-version 0.32.0
                                           make a ModelProfile from load tests, to plan from instead of data sheets
  medley simulate --model meta-llama/Llama-3.1-8B-Instruct --fleet l4=3,h100=1 --trace trace.csv
                                           serve a trace on a simulated fleet: attainment, latency, cost
  medley replay -f examples/replay/ --load steps:2x330s,4x360s --sizes 4000x1000
                                           replay the whole loop in fast time, beside other autoscalers
  medley power simulate --preset inband --added 30
                                           more servers on one power budget, capped: brakes, slowdown
  medley prices import aws.csv             make a price list from a catalogue of gpuhunt
  medley doctor                            find what keeps Medley from working in a cluster, and how to mend it
  medley power status                      show the power domains of a cluster: level, watts, budget
  medley power shed row-1 --fraction 0.8 --for 2h
                                           hold a power domain to less for some time
  medley power controller                  run the controller of power, in a cluster or against $KUBECONFIG
  medley status                            show the fleet of a cluster on one screen
  medley pause llama                       make no plan for a service until medley resume llama
  medley diff llama                        show what the plan that waits would change, in the kubeconfig's cluster
  medley approve llama 1a2b3c4d            approve that plan
  medley history                           show which plans were in force, and why they changed
  medley operator                          run the operator, in a cluster or against $KUBECONFIG
  medley agent --node NODE                 hold the GPUs of a node to the power limits of its NodePowerCap
"""


@dataclass(frozen=True, slots=True)
class _Command:
    """A subcommand: the module with its `add_parser` and `run`, and one line of help."""

    module: str
    help: str


COMMANDS = {
    "advise": _Command("medley_operator.cli.advise", "what a cluster's vLLM engines cost, and the cheapest mix"),
    "plan": _Command("medley_operator.cli.plan", "plan from YAML files, without a cluster"),
    "solve": _Command("medley_planner.cli.solve", "plan a fleet or one bare instance (JSON)"),
    "explain": _Command("medley_operator.cli.explain", "explain a plan: limits, costs, alternatives, changes"),
    "estimate": _Command("medley_planner.cli.estimate", "estimate one replica: latency, memory, largest rate"),
    "model": _Command("medley_operator.cli.model", "read a checkpoint's sizes, for any model"),
    "profile": _Command("medley_operator.cli.profile", "make a ModelProfile from measurements"),
    "simulate": _Command("medley_planner.cli.simulate", "serve a trace on simulated engines: latency, cost"),
    "replay": _Command("medley_operator.cli.replay", "replay a day of the whole loop, beside other policies"),
    "doctor": _Command("medley_operator.cli.doctor", "find what keeps Medley from working in a cluster"),
    "pools": _Command("medley_operator.cli.pools", "find the GPU pools of a cluster"),
    "prices": _Command("medley_operator.cli.prices", "make a price list of cloud offers"),
    "power": _Command("medley_operator.cli.power", "power budgets and capping: simulate, run, see, shed"),
    "status": _Command("medley_operator.cli.status", "show the fleet on one screen"),
    "pause": _Command("medley_operator.cli.pause", "make no plan for a service, and change nothing of it"),
    "resume": _Command("medley_operator.cli.resume", "go on with a service that is paused"),
    "approve": _Command("medley_operator.cli.approve", "approve the plan that waits, in a cluster"),
    "diff": _Command("medley_operator.cli.diff", "show what the plan that waits would change"),
    "history": _Command("medley_operator.cli.history", "show which plans were in force, and why they changed"),
    "completion": _Command("medley_operator.cli.completion", "print what makes a shell complete medley"),
    "operator": _Command("medley_operator.cli.operator", "run the operator"),
    "agent": _Command("medley_operator.cli.agent", "run the node agent, which holds GPUs to their power limits"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: that of the subcommand, or 2 for a command line that cannot be used."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    asked = words[0] if words else ""
    try:
        return _run(_parser(asked), asked, words)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has enough, as head does; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.OK


def _run(parser: argparse.ArgumentParser, asked: str, words: list[str]) -> int:
    parsed = parser.parse_args(words)
    if asked == "version" or parsed.version:
        # Here alone: it takes half of the time in which --help answers.
        from importlib.metadata import version as distribution_version

        print(f"medley {distribution_version(DISTRIBUTION)}")
        return ExitStatus.OK
    if asked not in COMMANDS:
        parser.print_help(sys.stderr)
        return ExitStatus.BAD_INPUT
    escape_what_the_terminal_lacks()
    return cast(int, importlib.import_module(COMMANDS[asked].module).run(parsed))


def whole_parser() -> argparse.ArgumentParser:
    """All subcommands with their arguments, which loads all of their modules."""
    return _parser(*COMMANDS)


def _parser(*asked: str) -> argparse.ArgumentParser:
    """All subcommands by name; only those that are asked for with their arguments."""
    parser = argparse.ArgumentParser(
        prog="medley",
        description=DESCRIPTION,
        epilog='"medley COMMAND --help" describes each command',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        if name in asked:
            importlib.import_module(command.module).add_parser(subparsers)
            add_examples(subparsers.choices[name], name)
        else:
            subparsers.add_parser(name, help=command.help)
    subparsers.add_parser("version", help="print the version and exit")
    return parser
