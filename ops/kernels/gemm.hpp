#pragma once
// Matrix products for every floating type: float32 by oneDNN, float64 by a blocked kernel of our own.

#include <cstdint>

namespace lucid::kernels {

/// c = alpha * op(a) @ op(b) + beta * c, all row-major; op(a) is (m, k), op(b) is (k, n), c is (m, n).
/// Leading dimensions in elements, of the matrices as stored. With beta = 0, c is not read. T is float or
/// double. Runs on all threads, or on one inside a parallel region. The result does not depend on the thread
/// count.
template <class T>
void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
          std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc);

extern template void gemm(bool, bool, std::int64_t, std::int64_t, std::int64_t, float, const float*,
                          std::int64_t, const float*, std::int64_t, float, float*, std::int64_t);
extern template void gemm(bool, bool, std::int64_t, std::int64_t, std::int64_t, double, const double*,
                          std::int64_t, const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace lucid::kernels
