"""A registered version as MLflow loads it: `mlflow.pyfunc.load_model("models:/NAME@champion")`.

MLflow runs this file (models from code) and hands it the artefact's folder, so what is stored is
arrays and JSON: nothing is unpickled. The answer is for customers of the training data; somebody
unknown gets what the model says of a customer without a past.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from oferta.models.recommend import recommend
from oferta.models.saved import Loaded, load
from oferta.progress import Silent


class RegisteredModel(PythonModel):
    """Customer ids in, ranked products out.

    Input: a frame with a column `customer_id` (text). Parameter: `n`, list length (default 10).
    Output: a frame `customer_id, product_id, score, rank`, best first within a customer.
    """

    _loaded: Loaded

    def load_context(self, context: PythonModelContext) -> None:
        """Read and check the artefact."""
        self._loaded = load(Path(context.artifacts["artefact"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """The `n` best products of every customer asked for, in the order asked."""
        del context
        loaded = self._loaded
        wanted = int((params or {}).get("n", 10))
        ids = [str(one) for one in model_input["customer_id"]]
        histories = loaded.histories(loaded.customers.rows(ids))
        best = recommend(loaded.fitted, histories, wanted, mask=None, progress=Silent())
        return pd.DataFrame(
            [
                (customer, loaded.products.id(product), float(score), rank)
                for customer, products, scores in zip(ids, best.products, best.scores, strict=True)
                for rank, (product, score) in enumerate(zip(products, scores, strict=True), 1)
                if product >= 0
            ],
            columns=["customer_id", "product_id", "score", "rank"],
        )


set_model(RegisteredModel())
