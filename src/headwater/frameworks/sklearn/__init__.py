"""Classifiers by scikit-learn: learned with preparation inside the model, kept as ONNX or skops, never as pickle."""

from headwater.frameworks.sklearn.classifier import FRAMEWORK, Classifier
from headwater.frameworks.sklearn.kept import KeptClassifier, predictor

__all__ = ["FRAMEWORK", "Classifier", "KeptClassifier", "predictor"]
