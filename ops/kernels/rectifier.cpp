#include "ops/kernels/rectifier.hpp"

#include "ops/kernels/loop_plan.hpp"

namespace lucid::kernels {
namespace {

LUCID_VECTORIZED void rectify_run(float* out, const float* x, std::int64_t count, Rectifier rectifier) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = rectifier(x[i]);
}

LUCID_VECTORIZED void add_run(float* out, const float* a, const float* b, std::int64_t count,
                              Rectifier rectifier) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = rectifier(a[i] + b[i]);
}

}  // namespace

void rectify(const Tensor& out, const Tensor& input, const Rectifier& rectifier) {
  const float* x = input.data<float>();
  float* y = out.data_to_write<float>();
  parallel_for(out.numel(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    rectify_run(y + begin, x + begin, end - begin, rectifier);
  });
}

void add_rectified(const Tensor& out, const Tensor& a, const Tensor& b, const Rectifier& rectifier) {
  const float *x = a.data<float>(), *z = b.data<float>();
  float* y = out.data_to_write<float>();
  parallel_for(out.numel(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    add_run(y + begin, x + begin, z + begin, end - begin, rectifier);
  });
}

}  // namespace lucid::kernels
