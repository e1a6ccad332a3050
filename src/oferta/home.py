"""The state folder: where a project keeps what it made. One place, `.oferta` unless told otherwise.

.oferta/
  datasets/      source folders that a command was given as they are, ingested
  mlflow.db, mlflow-artifacts/    runs and registered models
  studies/       what each study has done: figures, values per test row, trials
  scores/        batch scores, one folder per scoring
  triggers/      which triggers have fired
  redis/         the embedded server's socket and append-only file
  ledger.jsonl   every publish and rollback
  key-secret     what customer ids are hashed with (mode 0600)
"""

import os
from pathlib import Path

HOME_VARIABLE = "OFERTA_HOME"


def home_folder(given: Path | None = None) -> Path:
    """The state folder: `given`, else the environment's `OFERTA_HOME`, else `.oferta` here."""
    return given or Path(os.environ.get(HOME_VARIABLE) or ".oferta")
