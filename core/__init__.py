"""The domain of Vutler: knows neither HTTP nor the task queue."""

VERSION = "0.1.0"
