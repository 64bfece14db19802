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

bool collides(bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t ldb) {
  return !trans_b && ldb % kCollidingRows == 0 && m >= kFewRows && m < kManyRows && k * n >= kWorthCopying;
}

// b (k, n) with rows that don't collide.
Tensor spread(const float* b, std::int64_t k, std::int64_t n, std::int64_t ldb) {
  constexpr std::int64_t kLine = 16;
  const std::int64_t row = n + (n % kCollidingRows == 0 ? kLine : 0);
  const Tensor out = empty({k, row});
  float* const to = out.mutable_data<float>();
  parallel_for(k, std::max<std::int64_t>(1, kWorthCopying / n), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) std::copy_n(b + i * ldb, n, to + i * row);
  });
  return out;
}

}  // namespace

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  Tensor copy;
  if (collides(trans_b, m, n, k, ldb)) {
    copy = spread(b, k, n, ldb);
    b = copy.data<float>();
    ldb = copy.size(1);
  }
  const dnnl_status_t status =
      dnnl_sgemm(trans_a ? 'T' : 'N', trans_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  check(status == dnnl_success, "gemm", "oneDNN refused m ", m, ", n ", n, ", k ", k,
        " with leading dimensions ", lda, ", ", ldb, ", ", ldc, " (status ", static_cast<int>(status), ")");
}

}  // namespace lucid::onednn
