"""One replica's engine in virtual time, fast: the scheduler of vLLM over tables of step times. Pure.

The engine is a generator, so that its state lives in local variables. It yields the time at which what it is doing
ends (infinity: idle) and is sent either the index of a request that arrives no later than that, or COMMIT once no
such request is left; then it goes on. Sent NOTE, which is the index of no request, it notes its state in the log. What
it does is one step with prefill, or a run of decode steps that nothing interrupts: no admission, no
end of a sequence, no preemption. The batch is constant within such a run and its KV cache grows by one token per
sequence and step, so the run's length is a sum in closed form, and the step in which an arrival falls is the root of a
quadratic.

Scheduling, as in vLLM: each decoding sequence takes one token of the step's budget; what is left prefills, first the
prompt under way, then waiting ones in order as long as sequences and KV blocks last (a prompt's blocks are all taken
at its admission); a sequence that finds no block has the youngest preempted, to be computed anew, and nothing is
admitted in that step. `tests/reference_engine.py` does the same step by step.

An engine plans a step while the one before runs. A request that comes while others decode thus waits one step more: all
its tokens come later by this and by what is in front of the engine, as if it had arrived later.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Generator
from heapq import heapify, heappop, heappush

from medley_planner.engine.decode_run import blocks_taken, longest_run, steps_ended, steps_until
from medley_planner.engine.log import EngineState, Log
from medley_planner.engine.spec import EngineSpec
from medley_planner.engine.step_table import StepTable
from medley_planner.engine.trace import FittedSizes

COMMIT = -1
NOTE = sys.maxsize

Replica = Generator[float, int, None]


def replica(number: int, spec: EngineSpec, table: StepTable, sizes: FittedSizes, log: Log) -> Replica:
    """The engine of replica `number`; see the module for what it yields and is sent."""
    arrivals = log.arrivals
    prompts, generations, hits = sizes.prompt, sizes.generation, sizes.hit
    first_token, last_token, lag, unfinished = log.first_token, log.last_token, log.lag, log.unfinished
    by_tokens, by_sequences, by_decode = table.tokens, table.sequences, table.decode
    kv_token, per_attended, window_cost = table.kv_token, table.attended, table.window
    window, kv_window, per_window = window_cost.window, window_cost.kv_token, window_cost.attended
    ask, states, batched, blocks = NOTE, log.states, log.batched, log.blocks
    scheduled, preempted = log.scheduled, log.preempted
    budget, max_sequences, total, block = spec.token_budget, spec.max_sequences, spec.kv_blocks, spec.block_tokens
    own, front = spec.sequence_blocks, sizes.front_seconds

    now = busy = 0.0
    steps = preemptions = 0
    decoding = context = used = 0  # sequences, their tokens in the KV cache, blocks taken
    waiting: deque[int] = deque()
    running: dict[int, int] = {}  # request -> step count at which it ends (0 while it prefills), oldest first
    ending: list[tuple[int, int]] = []
    # Of decoding sequences: their tokens within the window, those that have not filled it, and when they will.
    inside = growing = 0
    filling: list[tuple[int, int]] = []
    # Decoding sequences by the step, modulo a block, in which they need their next block.
    phases = [0] * block
    partial, position = -1, 0  # the prompt under way, of which there is at most one, and its tokens so far
    resumed: dict[int, int] = {}  # tokens that preempted requests had generated

    while True:
        admit = True
        growth = phases[steps % block]
        while used + growth > total:
            request, ends_at = running.popitem()
            if request == partial:
                length = prompts[request] + resumed.get(request, 0)
                partial = -1
            else:
                generated = generations[request] - ends_at + steps
                resumed[request] = generated
                length = prompts[request] + generated - 1
                decoding -= 1
                context -= length
                phases[(steps - length) % block] -= 1
                growth = phases[steps % block]
                ending = [entry for entry in ending if entry[1] != request]
                heapify(ending)
                if window:
                    inside -= min(length, window)
                    if length < window:
                        growing -= 1
                        filling = [entry for entry in filling if entry[1] != request]
                        heapify(filling)
            used -= -(-length // block) + own
            waiting.appendleft(request)
            preemptions += 1
            preempted[request] += 1
            admit = False

        free = budget - decoding
        attended = attended_window = 0.0
        done: list[tuple[int, int]] = []
        chunked = False
        if partial >= 0:
            chunked = True
            length = prompts[partial]
            if resumed:
                length += resumed.get(partial, 0)
            chunk = length - position
            if chunk > free:
                chunk = free
            attended = chunk * (position + (chunk + 1) * 0.5)
            if window:
                attended_window = window_cost.attended_tokens(position, chunk)
            position += chunk
            free -= chunk
            if position == length:
                done.append((partial, length))
                partial = -1
        if waiting and admit:
            while waiting and free > 0 and len(running) < max_sequences:
                request = waiting[0]
                length = prompts[request]
                if resumed:
                    length += resumed.get(request, 0)
                need = -(-length // block) + own
                if used + growth + need > total:
                    break
                waiting.popleft()
                chunked = True
                used += need
                running[request] = 0
                if request not in resumed:
                    lag[request] = front[request]
                    if decoding:
                        lag[request] += by_decode[decoding] + kv_token * context + kv_window * inside
                    scheduled[request] = now + lag[request]
                position = hits[request]
                chunk = length - position
                if chunk > free:
                    chunk = free
                attended += chunk * (position + (chunk + 1) * 0.5)
                if window:
                    attended_window += window_cost.attended_tokens(position, chunk)
                position += chunk
                free -= chunk
                if position == length:
                    done.append((request, length))
                else:
                    partial = request

        batched[number], blocks[number] = len(running), used
        if chunked:
            seconds = by_tokens[budget - free] + by_sequences[decoding] + kv_token * context + per_attended * attended
            if window:
                seconds += kv_window * inside + per_window * attended_window
            end = now + seconds
            request = yield end
            while request >= 0:
                if request == ask:
                    states[number] = EngineState.of(now, steps, preemptions, used, running, waiting, generations)
                else:
                    waiting.append(request)
                request = yield end
            now = end
            busy += seconds
            steps += 1
            context += decoding
            inside += growing
            used += growth
        elif decoding:
            count = ending[0][0] - steps
            # Blocks that the run takes: one per sequence and whole cycle of a block's tokens, then the cycle's rest.
            if used + (count // block + 1) * decoding > total:
                count = longest_run(count, phases, steps % block, decoding, total - used)
            if not admit:
                count = 1
            step, slope = by_decode[decoding] + kv_token * context, kv_token * decoding
            if window:
                step, slope = step + kv_window * inside, slope + kv_window * growing
                count = min(count, filling[0][0] - steps) if filling else count
            seconds = count * (step + slope * (0.5 * (count - 1)))
            end = now + seconds
            open_to_arrivals = count > 1 and not waiting and decoding < max_sequences
            request = yield end
            while request >= 0:
                if request == ask:
                    ended = steps_ended(log.asked_at - now, step, slope, count)
                    at = now + ended * (step + slope * (0.5 * (ended - 1)))
                    grown = used + blocks_taken(ended, phases, steps % block, decoding)
                    states[number] = EngineState.of(
                        at, steps + ended, preemptions, grown, running, waiting, generations
                    )
                    request = yield end
                    continue
                waiting.append(request)
                if open_to_arrivals:
                    open_to_arrivals = False
                    count = steps_until(arrivals[request] - now, step, slope, count)
                    seconds = count * (step + slope * (0.5 * (count - 1)))
                    end = now + seconds
                request = yield end
            now = end
            busy += seconds
            offset = steps % block
            used += blocks_taken(count, phases, offset, decoding)
            steps += count
            context += count * decoding
            inside += count * growing
        else:
            log.busy_seconds[number], log.steps[number], log.preemptions[number] = busy, steps, preemptions
            request = yield math.inf
            while request == ask:
                states[number] = EngineState.of(now, steps, preemptions, used, running, waiting, generations)
                request = yield math.inf
            # All that arrive at this very moment are there before the step starts.
            now = arrivals[request]
            while request >= 0:
                if request == ask:
                    states[number] = EngineState.of(now, steps, preemptions, used, running, waiting, generations)
                else:
                    waiting.append(request)
                request = yield now
            continue

        while filling and filling[0][0] <= steps:
            heappop(filling)
            growing -= 1
        while ending and ending[0][0] <= steps:
            _, request = heappop(ending)
            length = prompts[request] + generations[request] - 1
            if window:
                inside -= min(length, window)
                if length <= window:
                    growing -= 1
            del running[request]
            decoding -= 1
            context -= length
            phases[(steps - length) % block] -= 1
            used -= -(-length // block) + own
            last_token[request] = now + lag[request]
            unfinished[number] -= 1
        for request, length in done:
            left = prompts[request] + generations[request] - length - 1
            if length == prompts[request]:
                first_token[request] = now + lag[request]
            if left:
                ends_at = steps + left
                running[request] = ends_at
                heappush(ending, (ends_at, request))
                decoding += 1
                context += length
                if window:
                    inside += min(length, window)
                    if length < window:
                        growing += 1
                        if steps + window - length < ends_at:
                            heappush(filling, (steps + window - length, request))
                phases[(steps - length) % block] += 1
            else:
                del running[request]
                used -= -(-length // block) + own
                last_token[request] = now + lag[request]
                unfinished[number] -= 1
