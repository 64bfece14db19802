// bench_small_torch [ROUNDS [FILTER]]: the rows of bench_small in libtorch, for bench_small --libtorch. A
// line a row: ns not recorded, recorded, backward, then the name.

#include <cstdio>
#include <cstdlib>

#include <ATen/ATen.h>

#include "bench/small_ops.hpp"

namespace {

using bench::SmallCase;

struct TorchSide {
  using Tensor = at::Tensor;
  using NoGrad = at::NoGradGuard;
  static Tensor leaf(bool requires_grad) {
    return (((at::arange(16, at::kFloat) * 37).remainder(101) - 50) / 50)
        .view({4, 4})
        .requires_grad_(requires_grad);
  }
  static void backward(const Tensor& result, const Tensor& gradient) { result.backward(gradient); }
  static void clear(const Tensor& leaf) { leaf.mutable_grad().reset(); }
  static std::vector<SmallCase<Tensor>> cases() {
    const Tensor b = leaf(false) * 0.01 + 1.0;
    return {{"add", 1, [b](const Tensor& x) { return x + b; }},
            {"sub", 1, [b](const Tensor& x) { return x - b; }},
            {"mul", 1, [b](const Tensor& x) { return x * b; }},
            {"div", 1, [b](const Tensor& x) { return x / b; }},
            {"add, number", 1, [](const Tensor& x) { return x + 2.0; }},
            {"mul, number", 1, [](const Tensor& x) { return x * 0.5; }},
            {"neg", 1, [](const Tensor& x) { return -x; }},
            {"relu", 1, [](const Tensor& x) { return x.relu(); }},
            {"exp", 1, [](const Tensor& x) { return x.exp(); }},
            {"tanh", 1, [](const Tensor& x) { return x.tanh(); }},
            {"softmax", 1, [](const Tensor& x) { return x.softmax(1); }},
            {"reshape", 1,
             [](const Tensor& x) {
               return x.reshape({4, 4});
             }},
            {"transpose", 1, [](const Tensor& x) { return x.transpose(0, 1); }},
            {"clone", 1, [](const Tensor& x) { return x.clone(); }},
            {"sum, expand", 2,
             [](const Tensor& x) {
               return x.sum().expand({4, 4});
             }},
            {"sum of an axis, expand", 2,
             [](const Tensor& x) {
               return x.sum(at::IntArrayRef{0}, true).expand({4, 4});
             }},
            {"matmul", 1, [b](const Tensor& x) { return x.matmul(b); }},
            {"linear", 1, [b](const Tensor& x) { return at::linear(x, b); }}};
  }
};

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 500;
  for (const auto& row : bench::measure_small_ops<TorchSide>(argc > 2 ? argv[2] : "", rounds))
    std::printf("%.1f %.1f %.1f %s\n", row.no_grad, row.recorded, row.backward, row.name.c_str());
}
