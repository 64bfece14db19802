#pragma once
// Single-precision matrix product by oneDNN.

#include <cstdint>

namespace lucid::onednn {

/// c = alpha * op(a) @ op(b) + beta * c, all row-major; op(a) is (m, k), op(b) is (k, n), c is (m, n).
/// Leading dimensions in elements: of the matrices as stored, that is before op() transposes them. With beta
/// = 0, c is not read. Throws Error when oneDNN refuses the sizes.
void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc);

}  // namespace lucid::onednn
