"""Gram matrices of products and their inverses: what the models with a closed form solve."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, spotrf, spotri
from scipy.sparse import csr_array

from oferta.errors import FitFailed
from oferta.models.data import DataShape

_ROWS = 1024
_DENSE_PAIR = 50  # what one pair of a sparse product costs, in cells of a dense one
_DOUBLE_TO = 8192
"""Products up to which the solution is in float64. Beyond, float32 halves memory and time: on
s3rec-beauty (12,101 products) NDCG@10 was .03843 instead of .03845."""


def solving_seconds(shape: DataShape) -> float:
    """What the Gram matrix and its inverse take."""
    cube = float(shape.products) ** 3
    return gram_seconds(shape) + (3e-11 if shape.products <= _DOUBLE_TO else 1.5e-11) * cube


def solving_bytes(products: int) -> int:
    """What the Gram matrix, its inverse and the weights made of it take at the peak."""
    return (13 if products <= _DOUBLE_TO else 9) * products**2


def customers_as_rows(matrix: csr_array, *, activity_power: float, binary: bool) -> csr_array:
    """The rows whose Gram matrix counts a customer of `n` products as `n ** -activity_power`.

    The mean weight of an entry is 1; the rows hold the weights' roots, as the Gram matrix squares
    them. `binary`: any weight of `matrix` counts as one.
    """
    entries = np.diff(matrix.indptr)
    weight = np.maximum(entries, 1).astype(np.float64) ** -activity_power
    weight *= max(int(entries.sum()), 1) / max(float(weight @ entries), 1e-12)
    data = np.repeat(np.sqrt(weight), entries).astype(np.float32)
    if not binary:
        data *= matrix.data
    return csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def gram_seconds(shape: DataShape) -> float:
    """What the Gram matrix takes."""
    per_customer = shape.interactions / max(shape.customers, 1)
    dense = shape.customers * float(shape.products) ** 2 * 2e-11
    return min(shape.interactions * per_customer * 1e-8, dense)


def gram_matrix(matrix: csr_array) -> NDArray[np.floating]:
    """`(products, products)`: `X'X`, in Fortran order for LAPACK.

    float64, from 8,192 products on float32. Filled by blocks: a sparse product of the whole would
    take more memory than its dense result.
    """
    customers, products = matrix.shape
    dtype = np.float64 if products <= _DOUBLE_TO else np.float32
    gram: NDArray[Any] = np.zeros((products, products), dtype, order="F")
    pairs = float((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    if pairs * _DENSE_PAIR > customers * float(products) ** 2:
        rows = max(_ROWS, 32_000_000 // max(products, 1))
        for start in range(0, customers, rows):
            block: NDArray[Any] = matrix[start : start + rows].toarray().astype(dtype)
            gram += block.T @ block
        return gram
    typed: Any = matrix.astype(dtype)
    columns = typed.T.tocsr()
    for start in range(0, products, _ROWS):
        # The Gram matrix is symmetric, so a block of rows is written as a block of columns.
        gram[:, start : start + _ROWS] = (columns[start : start + _ROWS] @ typed).toarray().T
    return gram


def inverse_of(gram: NDArray[np.floating], *, model: str) -> NDArray[np.float32]:
    """The inverse of a positive definite matrix, as float32 in C order. `gram` is used up.

    Raises:
        FitFailed: the matrix is not positive definite in its precision.
    """
    factorise, invert = (dpotrf, dpotri) if gram.dtype == np.float64 else (spotrf, spotri)
    # In place, upper triangle only: half the memory of a general inverse.
    factor, failed = factorise(gram, lower=0, clean=0, overwrite_a=1)
    if failed:
        raise FitFailed(model, "can not be solved: its regulariser is too small, raise it")
    upper, _ = invert(factor, lower=0, overwrite_c=1)
    size = len(upper)
    inverse = np.empty((size, size), np.float32)
    for start in range(0, size, _ROWS):
        stop = min(start + _ROWS, size)
        # Below the diagonal is whatever LAPACK left.
        inverse[start:stop, start:] = upper[start:stop, start:]
        inverse[start:, start:stop] = upper[start:stop, start:].T
        corner = np.triu(upper[start:stop, start:stop])
        inverse[start:stop, start:stop] = corner + np.triu(corner, 1).T
    return inverse


def popularity_scale(
    customers: NDArray[np.integer], had: NDArray[np.bool_], power: float
) -> NDArray[np.float64]:
    """`(products,)`: what marks a product of more than the mean customers down by `power`.

    `had` says which products count in the mean.
    """
    mean = customers[had].mean() if had.any() else 1.0
    return np.asarray((np.maximum(customers, 1) / mean) ** -power)
