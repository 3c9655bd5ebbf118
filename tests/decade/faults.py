# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong, and when: a plan made from a seed before anything begins, so that the verdict knows
it from nobody else and a bad decade can be had again. Times are seconds of the world.

Faults follow each other with quiet days between, and twice the CA gets a new key. The last fifth of
the time has none that end a process, so that what grows there is seen.
"""
import dataclasses
import random
import typing

import world as worlds
from stage import GATEWAY
from verdict import DAY, HOUR, MINUTE

YEAR = 365.25 * DAY
WEEK = 7 * DAY


class Hands:
    """What does to the stage what the plan says."""

    def __init__(self, stage):
        self.stage, self.world = stage, stage.world
        self.amiss = 0  # seconds that the gateway's clock is wrong by

    def set_clock(self, wrong_by):
        self.world.step(GATEWAY, wrong_by - self.amiss)
        self.amiss = wrong_by

    def set_1970(self, more=0):
        self.set_clock(more - self.world.real)

    def cut_and_boot(self, real):
        """A moment without power, and then a wall clock that says so."""
        self.stage.cut_power()
        self.boot(real)

    def boot(self, real):
        self.amiss = real - self.world.real
        self.world.boot(GATEWAY, real)
        self.stage.start_gateway()

    def begin(self, fault):
        KINDS[fault.kind].begin(self, fault.amount)

    def mend(self, fault):
        KINDS[fault.kind].mend(self)


def leave(*_):
    """Nothing is to be done."""


def link(state):
    return lambda hands, amount: hands.world.link(state)


def link_up(hands):
    hands.world.link(worlds.UP)


def right_clock(hands):
    hands.set_clock(0)


@dataclasses.dataclass(frozen=True)
class Kind:
    """weight: how often, among the others. lasts: from and to seconds. begin and mend take Hands, begin
    also how much, from 0 to 1. breaks: no daemon can renew meanwhile. ends: a process of the gateway
    or the registrar ends by it."""
    weight: float
    lasts: tuple
    begin: typing.Callable
    mend: typing.Callable
    breaks: bool = False
    ends: bool = False


def stop_registrar(hands, _):
    hands.stage.stop_registrar()


def start_registrar(hands):
    hands.stage.start_registrar()


KINDS = {
    "link silent": Kind(5, (HOUR, 14 * HOUR), link(worlds.SILENT), link_up, breaks=True),
    "link unreachable": Kind(3, (HOUR, 14 * HOUR), link(worlds.UNREACHABLE), link_up, breaks=True),
    "link silent for weeks": Kind(0.15, (WEEK, 3 * WEEK), link(worlds.SILENT), link_up, breaks=True),
    "link loses datagrams": Kind(
        2, (HOUR, 2 * DAY), lambda hands, x: hands.world.link(worlds.UP, int(50 + 100 * x)), link_up),
    "registrar away": Kind(3, (10 * MINUTE, 14 * HOUR), stop_registrar, start_registrar,
                           breaks=True, ends=True),
    "registrar away for weeks": Kind(0.1, (WEEK, 2 * WEEK), stop_registrar, start_registrar,
                                     breaks=True, ends=True),
    "registrar restarted": Kind(4, (0, 0), stop_registrar, start_registrar, ends=True),
    "gateway restarted": Kind(2, (0, 0), lambda hands, _: hands.stage.stop_gateway(),
                              lambda hands: hands.stage.start_gateway(), ends=True),
    "gateway reloaded": Kind(1, (0, 0), lambda hands, _: hands.stage.reload_gateway(), leave),
    "power cut": Kind(4, (MINUTE, 2 * DAY), lambda hands, _: hands.stage.cut_power(),
                      lambda hands: hands.boot(hands.world.real), breaks=True, ends=True),
    "power cut, clock begins in 1970": Kind(
        2, (MINUTE, 2 * DAY), lambda hands, x: hands.cut_and_boot(100 * x), right_clock, ends=True),
    "power cut, clock stands still": Kind(
        1, (MINUTE, 2 * DAY),
        lambda hands, x: hands.cut_and_boot(hands.world.real - HOUR - 30 * DAY * x), right_clock,
        ends=True),
    "clock set back to 1970": Kind(
        1, (MINUTE, DAY), lambda hands, x: hands.set_1970(100 * x), right_clock),
    "clock set years ahead": Kind(
        1, (MINUTE, DAY), lambda hands, x: hands.set_clock(YEAR * (1 + 20 * x)), right_clock,
        breaks=True),
    "clock wrong by hours": Kind(
        2, (HOUR, DAY), lambda hands, x: hands.set_clock(HOUR * (12 * x - 6)), right_clock),
    "suspended": Kind(1, (HOUR, 2 * DAY), lambda hands, _: hands.stage.suspend(True),
                      lambda hands: hands.stage.suspend(False), breaks=True),
    "hook fails": Kind(2, (HOUR, 5 * DAY), lambda hands, _: hands.stage.break_service(True),
                       lambda hands: hands.stage.break_service(False)),
    "CA has a new key": Kind(0, (0, 0), lambda hands, _: hands.stage.roll_ca(), leave, ends=True),
    "server has a certificate of the new key": Kind(
        0, (0, 0), lambda hands, _: hands.stage.roll_server(), leave, ends=True),
}
ROLLOVERS = (0.25, 0.6)  # of the time; the server follows a tenth later
SETTLED = 0.75  # all of them are over
WAIT = 4 * DAY  # between two faults, on the average


@dataclasses.dataclass(frozen=True)
class Fault:
    kind: str
    begin: float
    end: float
    amount: float  # from 0 to 1: how much of it

    @property
    def breaks(self):
        return KINDS[self.kind].breaks


def calamities(chance, end, kinds):
    """Faults that follow each other until the end."""
    faults, at = [], DAY
    while True:
        at += chance.expovariate(1 / WAIT) + HOUR
        late = at > 0.8 * end
        names = [name for name in kinds
                 if KINDS[name].weight > 0 and not (late and KINDS[name].ends)]
        if not names:
            return faults
        name, = chance.choices(names, [KINDS[name].weight for name in names])
        until = at + chance.uniform(*KINDS[name].lasts)
        if until > end - 2 * DAY:
            return faults
        faults.append(Fault(name, at, until, chance.random()))
        at = until


def plan(seed, years, kinds):
    """The faults of so many years, in order, of these kinds; they do not overlap."""
    end = years * YEAR
    faults = calamities(random.Random(seed), end, kinds)
    for share in ROLLOVERS:
        for kind, at in (("CA has a new key", share), ("server has a certificate of the new key",
                                                       share + 0.1)):
            before = [f.end for f in faults if f.begin <= at * end]
            moment = (max(before) if before else at * end) + MINUTE
            if kind in kinds:
                faults.append(Fault(kind, moment, moment, 0))
    return sorted(faults, key=lambda f: f.begin)
