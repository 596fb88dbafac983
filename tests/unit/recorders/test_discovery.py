from __future__ import annotations

import functools

import pytest
from torch import nn

import memviz
from memviz import tap as renamed
from memviz.recorders.discovery import calls_tap


def helper(x):
    return deeper(x)


def deeper(x):
    return memviz.tap("usage", x)


class Direct(nn.Module):
    def forward(self, x):
        return memviz.tap("usage", x)


class Renamed(nn.Module):
    def forward(self, x):
        return renamed("usage", x)


class ThroughHelpers(nn.Module):
    def forward(self, x):
        return helper(x)


class InAMethod(nn.Module):
    @staticmethod
    def step(x):
        return memviz.tap("usage", x)

    def forward(self, x):
        return self.step(x)


class InAProperty(nn.Module):
    @property
    def tapped(self):
        return memviz.tap("usage", self.x)


class InALambda(nn.Module):
    def forward(self, x):
        return (lambda y: memviz.tap("usage", y))(x)


class Inherited(Direct):
    pass


class Owner(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Direct()


def decorated(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args)

    return call


class Decorated(nn.Module):
    @decorated
    def forward(self, x):
        return memviz.tap("usage", x)


@pytest.mark.parametrize(
    "kind", [Direct, Renamed, ThroughHelpers, InAMethod, InAProperty, InALambda, Inherited, Owner, Decorated]
)
def test_taps_are_found(kind):
    assert calls_tap(kind())


class Plain(nn.Module):
    """Stands in a file that imports memviz and taps elsewhere."""

    def forward(self, x):
        return memviz.__version__ and x


class OtherTap(nn.Module):
    def tap(self, x):
        return x

    def forward(self, x):
        return self.tap(x)


@pytest.mark.parametrize("kind", [Plain, OtherTap, lambda: nn.LSTM(2, 2), nn.Identity])
def test_models_without_taps_are_told_apart(kind):
    assert not calls_tap(kind())
