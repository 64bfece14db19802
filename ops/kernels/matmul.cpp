#include "ops/kernels/matmul.hpp"

#include "lucid/parallel.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/gemm.hpp"

namespace lucid::kernels {
namespace {

using Index = std::int64_t;

// A matrix as gemm reads it: stored row-major with leading dimension ld, to be transposed or not.
struct Stored {
  bool transposed = false;
  Index ld = 1;
};

Index row_stride(const Tensor& t) { return t.strides()[t.shape().size() - 2]; }
Index col_stride(const Tensor& t) { return t.strides().back(); }
Index rows_of(const Tensor& t) { return t.shape()[t.shape().size() - 2]; }
Index cols_of(const Tensor& t) { return t.shape().back(); }

// False when neither rows nor columns are adjacent in memory.
bool stored_as(const Tensor& t, Stored& out) {
  const Index rows = rows_of(t), cols = cols_of(t);
  const Index row = rows == 1 ? std::max<Index>(cols, 1) : row_stride(t);
  const Index col = cols == 1 ? std::max<Index>(rows, 1) : col_stride(t);
  if ((col_stride(t) == 1 || cols == 1) && row >= std::max<Index>(cols, 1))
    out = {false, row};
  else if ((row_stride(t) == 1 || rows == 1) && col >= std::max<Index>(rows, 1))
    out = {true, col};
  else
    return false;
  return true;
}

Tensor dense_copy(const Tensor& t, DType dtype) {
  Tensor out = empty(t.shape(), dtype);
  copy(out, t);
  return out;
}

// Copies what gemm cannot read in place to `dense`. A repeated matrix is copied once.
const Tensor& readable(const Tensor& t, DType dtype, Stored& stored, Tensor& dense) {
  if (t.dtype() == dtype && stored_as(t, stored)) return t;
  const std::size_t batch_rank = t.shape().size() - 2;
  Shape shape = t.shape(), strides = t.strides();
  for (std::size_t i = 0; i < batch_rank; ++i)
    if (strides[i] == 0) shape[i] = std::min<Index>(shape[i], 1);
  dense = dense_copy(alias(t, shape, strides, t.offset()), dtype);
  strides = dense.strides();
  for (std::size_t i = 0; i < batch_rank; ++i)
    if (t.strides()[i] == 0) strides[i] = 0;
  dense = alias(dense, t.shape(), strides, 0);
  stored_as(dense, stored);
  return dense;
}

// Offset of batch number `i` in elements.
Index batch_offset(const Tensor& t, Index i) {
  Index offset = 0;
  for (std::size_t axis = t.shape().size() - 2; axis-- > 0;) {
    offset += i % t.shape()[axis] * t.strides()[axis];
    i /= t.shape()[axis];
  }
  return offset;
}

template <class T>
void multiply(const Tensor& c, const Tensor& a, const Tensor& b, Index k, Stored as_a, Stored as_b, T alpha,
              T beta) {
  const Index n = rows_of(c), m = cols_of(c);
  if (c.numel() == 0) return;
  const Index batches = c.numel() / (n * m);
  T* out = c.data_to_write<T>();
  const T *left = a.data<T>(), *right = b.data<T>();
  if (batches == 1)
    return gemm<T>(as_a.transposed, as_b.transposed, n, m, k, alpha, left, as_a.ld, right, as_b.ld, beta, out,
                   m);
  const auto run = [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i)
      gemm<T>(as_a.transposed, as_b.transposed, n, m, k, alpha, left + batch_offset(a, i), as_a.ld,
              right + batch_offset(b, i), as_b.ld, beta, out + i * n * m, m);
  };
  // A thread for each range of batches when there are enough of them, else all threads for each product.
  if (batches >= 2 * num_threads())
    parallel_for(batches, std::max<Index>(1, 65536 / std::max<Index>(1, n * m * std::max<Index>(k, 1))), run);
  else
    run(0, batches);
}

}  // namespace

void matmul(const Tensor& c, const Factor& a, const Factor& b, double alpha, double beta) {
  const DType dtype = c.dtype() == bf16 ? f32 : c.dtype();
  Stored as_a, as_b;
  Tensor dense_a, dense_b, converted;
  const Tensor& left = readable(a.matrices, dtype, as_a, dense_a);
  const Tensor& right = readable(b.matrices, dtype, as_b, dense_b);
  as_a.transposed ^= a.flipped;
  as_b.transposed ^= b.flipped;
  if (c.dtype() != dtype) converted = beta == 0 ? empty(c.shape(), dtype) : dense_copy(c, dtype);
  const Tensor& out = converted.defined() ? converted : c;
  const Index k = a.columns();
  if (dtype == f64)
    multiply<double>(out, left, right, k, as_a, as_b, alpha, beta);
  else
    multiply<float>(out, left, right, k, as_a, as_b, static_cast<float>(alpha), static_cast<float>(beta));
  if (converted.defined()) copy(c, converted);
}

}  // namespace lucid::kernels
