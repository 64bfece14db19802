#include <doctest/doctest.h>

#include <limits>
#include <sstream>

#include "lucid/tensor.hpp"

using namespace lucid;

TEST_CASE("values line up in columns, with shape and type") {
  CHECK(Tensor::from({1, 0.5, 0, 2}, {2, 2}).str() ==
        "tensor([[1.0000, 0.5000],\n"
        "        [0.0000, 2.0000]], shape=(2, 2), dtype=float32)");
  CHECK(Tensor::from({1, -20, 300}, {3}, f64).str() ==
        "tensor([  1., -20., 300.], shape=(3), dtype=float64)");
  CHECK(Tensor::from({1, -20, 300}, {3}, i64).str() == "tensor([  1, -20, 300], shape=(3), dtype=int64)");
  CHECK(Tensor::from({1, 0}, {2}, boolean).str() == "tensor([ True, False], shape=(2), dtype=bool)");
  CHECK(Tensor::from({2.5}, {}, bf16).str() == "tensor(2.5000, shape=(), dtype=bfloat16)");
  CHECK(Tensor::from({1e-9, 1}, {2}).str() == "tensor([1.0000e-09, 1.0000e+00], shape=(2), dtype=float32)");
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(Tensor::from({infinity, -infinity, infinity - infinity, 0.5}, {4}).str() ==
        "tensor([   inf,   -inf,    nan, 0.5000], shape=(4), dtype=float32)");
  CHECK(Tensor::from({std::numeric_limits<double>::max()}, {1}, f64).str() ==
        "tensor([1.7977e+308], shape=(1), dtype=float64)");
}

TEST_CASE("empty, undefined and trained tensors say what they are") {
  CHECK(Tensor().str() == "tensor(undefined)");
  CHECK(zeros({0}).str() == "tensor([], shape=(0), dtype=float32)");
  CHECK(zeros({2, 0}).str() == "tensor([[],\n        []], shape=(2, 0), dtype=float32)");
  CHECK(ones({1}).requires_grad_().str() == "tensor([1.], shape=(1), dtype=float32, requires_grad)");
}

TEST_CASE("planes are set apart by an empty line, and strides are honoured") {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {2, 1, 2});
  CHECK(x.str() == "tensor([[[1., 2.]],\n\n        [[3., 4.]]], shape=(2, 1, 2), dtype=float32)");
  CHECK(alias(x, {2, 2}, {1, 2}, 0).str() ==
        "tensor([[1., 3.],\n        [2., 4.]], shape=(2, 2), dtype=float32)");
}

TEST_CASE("long rows are broken and large tensors are summarised") {
  const std::string row = arange(40).str();
  CHECK(row.find("\n        ") != std::string::npos);
  for (std::size_t begin = 0, end; begin < row.size(); begin = end + 1) {
    end = std::min(row.find('\n', begin), row.size());
    if (end < row.size()) CHECK(end - begin <= 80);
  }
  CHECK(arange(1001).str() == "tensor([   0,    1,    2, ...,  998,  999, 1000], shape=(1001), dtype=int64)");
  // a tensor whose elements would not fit into memory prints at once
  const Tensor broad = alias(ones({1}), {1 << 20, 1 << 20}, {0, 0}, 0);
  CHECK(broad.str().size() < 400);
  std::ostringstream out;
  out << arange(2);
  CHECK(out.str() == "tensor([0, 1], shape=(2), dtype=int64)");
}
