"""Who met what at which step: the order of events as a matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from oferta.interactions.events import EventLog


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The steps of all customers, one customer after the other, each in their order.

    Attributes:
        met: `(steps, products) float32`, 1 where a product was chosen at a step, else 0.
        owner: `(steps,) int64`, the customer of each step.
    """

    met: csr_array
    owner: NDArray[np.int64]

    @staticmethod
    def of(events: EventLog, n_products: int) -> "Steps":
        """The steps at which something was chosen; what was only shown or returned is no step."""
        chosen = events.where(events.amount > 0)
        customer = chosen.customer.astype(np.int64)
        new = np.ones(len(chosen), bool)
        new[1:] = (np.diff(customer) != 0) | (np.diff(chosen.step) != 0)
        step = np.cumsum(new) - 1
        met = csr_array(
            (np.ones(len(chosen), np.float32), (step, chosen.product)),
            shape=(int(new.sum()), n_products),
        )
        met.sum_duplicates()
        met.data[:] = 1
        return Steps(met, customer[new])

    @staticmethod
    def together(matrix: csr_array) -> "Steps":
        """One step a customer: no order."""
        met = csr_array(
            (np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape
        )
        return Steps(met, np.arange(matrix.shape[0]))

    def at(
        self, steps: NDArray[np.integer], shift: int
    ) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
        """The steps that come `shift` after those given, and which of them are the same customer's.

        Where one is not, its number says nothing.
        """
        other = steps + shift
        inside = (other >= 0) & (other < len(self.owner))
        inside[inside] = self.owner[other[inside]] == self.owner[steps[inside]]
        return other, inside

    def shifted(self, shift: int) -> csr_array:
        """`(steps, products)`: what was met `shift` steps after each; nothing where none is."""
        other, inside = self.at(np.arange(len(self.owner)), shift)
        lengths = np.zeros(len(self.owner) + 1, np.int64)
        lengths[1:][inside] = np.diff(self.met.indptr)[other[inside]]
        rows = self.met[other[inside]]
        return csr_array((rows.data, rows.indices, np.cumsum(lengths)), shape=self.met.shape)
