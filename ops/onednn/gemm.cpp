#include "ops/onednn/gemm.hpp"

#include <oneapi/dnnl/dnnl.h>

#include <algorithm>

#include "lucid/parallel.hpp"
#include "lucid/tensor.hpp"

namespace lucid::onednn {
namespace {

// Where rows are multiples of 2 KB apart, those read together displace each other from the first-level cache.
// oneDNN reads b as it lies unless there are many rows of a, and takes up to twice the time then.
constexpr std::int64_t kCollidingRows = 512, kFewRows = 64, kManyRows = 512, kWorthCopying = 1 << 16;

// Rows of b that are copied at once: a few megabytes; 0 where they are too long for that.
std::int64_t rows_at_once(std::int64_t n) {
  constexpr std::int64_t kMostCopied = 1 << 20, kLeastRows = 128;
  return kMostCopied / n >= kLeastRows ? kMostCopied / n : 0;
}

bool collides(bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t ldb) {
  return !trans_b && ldb % kCollidingRows == 0 && m >= kFewRows && m < kManyRows && n > 0 &&
         k >= kWorthCopying / n && rows_at_once(n) > 0;
}

// b (k, n) with rows that don't collide.
void spread(const float* b, std::int64_t k, std::int64_t n, std::int64_t ldb, float* to, std::int64_t row) {
  parallel_for(k, std::max<std::int64_t>(1, kWorthCopying / n), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) std::copy_n(b + i * ldb, n, to + i * row);
  });
}

void multiply(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
              const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
              std::int64_t ldc) {
  const dnnl_status_t status =
      dnnl_sgemm(trans_a ? 'T' : 'N', trans_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  check(status == dnnl_success, "gemm", "oneDNN refused m ", m, ", n ", n, ", k ", k,
        " with leading dimensions ", lda, ", ", ldb, ", ", ldc, " (status ", static_cast<int>(status), ")");
}

}  // namespace

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  if (!collides(trans_b, m, n, k, ldb))
    return multiply(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  constexpr std::int64_t kLine = 16;
  const std::int64_t row = n + (n % kCollidingRows == 0 ? kLine : 0), step = std::min(k, rows_at_once(n));
  const Tensor copy = empty({step, row});
  float* const rows = copy.data_to_write<float>();
  for (std::int64_t first = 0; first < k; first += step) {
    const std::int64_t count = std::min(step, k - first);
    spread(b + first * ldb, count, n, ldb, rows, row);
    multiply(trans_a, trans_b, m, n, count, alpha, a + first * (trans_a ? lda : 1), lda, rows, row,
             first == 0 ? beta : 1.0f, c, ldc);
  }
}

}  // namespace lucid::onednn
