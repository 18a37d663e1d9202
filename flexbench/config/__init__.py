"""The configuration: sections, kinds of task, the whole, and how it is read. Nothing heavy."""

from flexbench.config.base import Misfit, Settings
from flexbench.config.cases import Case, FitSetting, Run
from flexbench.config.cluster import ClusterSettings, Needs
from flexbench.config.own_data import DataSettings
from flexbench.config.sections import (
    PACE,
    CalibrationSettings,
    DiffusionSettings,
    EvaluationSettings,
    MethodSettings,
    NetworkPrecision,
    SampleSettings,
    ScoreSettings,
    SolverSettings,
    SplitSettings,
    SplitsSettings,
    SubmittedSettings,
    TheorySettings,
    TrainSettings,
)
from flexbench.config.tasks import KINDS, TaskBase, TaskSettings
from flexbench.config.tasks.forecast import ForecastSettings
from flexbench.config.tasks.superres import SuperResolutionSettings
from flexbench.config.whole import TIERS, Config

__all__ = [
    "KINDS",
    "PACE",
    "TIERS",
    "CalibrationSettings",
    "Case",
    "ClusterSettings",
    "Config",
    "DataSettings",
    "DiffusionSettings",
    "EvaluationSettings",
    "FitSetting",
    "ForecastSettings",
    "MethodSettings",
    "Misfit",
    "Needs",
    "NetworkPrecision",
    "Run",
    "SampleSettings",
    "ScoreSettings",
    "Settings",
    "SolverSettings",
    "SplitSettings",
    "SplitsSettings",
    "SubmittedSettings",
    "SuperResolutionSettings",
    "TaskBase",
    "TaskSettings",
    "TheorySettings",
    "TrainSettings",
]
