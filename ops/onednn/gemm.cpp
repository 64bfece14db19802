#include "ops/onednn/gemm.hpp"

#include <oneapi/dnnl/dnnl.h>

#include "lucid/error.hpp"

namespace lucid::onednn {

void gemm(bool trans_a, bool trans_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
          std::int64_t ldc) {
  const dnnl_status_t status =
      dnnl_sgemm(trans_a ? 'T' : 'N', trans_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  check(status == dnnl_success, "gemm", "oneDNN refused m ", m, ", n ", n, ", k ", k,
        " with leading dimensions ", lda, ", ", ldb, ", ", ldc, " (status ", static_cast<int>(status), ")");
}

}  // namespace lucid::onednn
