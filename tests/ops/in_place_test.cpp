#include <doctest/doctest.h>

#include <bit>

#include "autograd/grad_mode.hpp"
#include "ops/activation.hpp"
#include "ops/arithmetic.hpp"

using namespace lucid;

namespace {

std::vector<double> values(const Tensor& tensor) { return tensor.to_vector<double>(); }

// `change(target, source)` of two tensors that share memory gives what it gives where they don't.
template <class Change>
void check_shared(const Tensor& target, const Tensor& source, Change change) {
  const Tensor apart = target.clone(), source_apart = source.clone();
  change(apart, source_apart);
  change(target, source);
  CHECK(values(target) == values(apart));
}

}  // namespace

TEST_CASE("an operand may share memory with the tensor that is changed") {
  const auto add = [](const Tensor& to, const Tensor& from) { to.add_(from, 0.5); };
  const auto mul = [](const Tensor& to, const Tensor& from) { to.mul_(from); };
  const auto copy = [](const Tensor& to, const Tensor& from) { to.copy_(from); };
  const auto check_all = [&](const std::function<std::pair<Tensor, Tensor>()>& make) {
    for (const auto& change : {std::function(add), std::function(mul), std::function(copy)}) {
      const auto [target, source] = make();
      check_shared(target, source, change);
    }
  };
  for (const DType dtype : {f32, f64, bf16}) {
    CAPTURE(name(dtype));
    const auto square = [dtype] { return arange(0, 40 * 40, 1, f64).reshape({40, 40}).to(dtype) + 1; };
    check_all([&] {
      const Tensor x = square();
      return std::pair(x, x.transpose(0, 1));
    });
    check_all([&] {
      const Tensor x = square();
      return std::pair(x, x.narrow(0, 3, 1));  // broadcast
    });
    check_all([&] {
      const Tensor x = square().reshape({1600});
      return std::pair(x.narrow(0, 1, 1599), x.narrow(0, 0, 1599));
    });
    check_all([&] {
      const Tensor x = square();
      return std::pair(x, x);
    });
  }
  const Tensor whole = arange(0, 1600, 1, i64).reshape({40, 40});
  check_shared(whole, whole.transpose(0, 1), copy);
}

TEST_CASE("a tensor that repeats its elements is not changed in place, but may be filled") {
  const Tensor repeated = ones({1, 3}).expand({4, 3});
  CHECK_THROWS_WITH_AS(repeated.add_(ones({4, 3})),
                       doctest::Contains("add_: axis 0 of the tensor of shape (4, 3)"), Error);
  CHECK_THROWS_AS(repeated.add_(ones({3})), Error);
  CHECK_THROWS_AS(repeated.mul_(2.0), Error);
  CHECK_THROWS_AS(repeated.copy_(ones({4, 3})), Error);
  CHECK_THROWS_AS(relu_(repeated), Error);
  CHECK(values(repeated) == std::vector<double>(12, 1.0));
  CHECK(values(repeated.fill_(3.0)) == std::vector<double>(12, 3.0));
  CHECK(values(ones({1, 3}).expand({1, 3}).add_(ones({3}))) == std::vector<double>(3, 2.0));
}

TEST_CASE("a recorded product in place knows the values before it for the operand's gradient") {
  const Tensor a = Tensor::from({2.0, 3.0}, {2}, f64).requires_grad_();
  const Tensor b = Tensor::from({5.0, 7.0}, {2}, f64).requires_grad_();
  const Tensor q = a * 1.0;
  q.mul_(b);
  q.sum().backward();
  CHECK(values(a.grad()) == std::vector<double>{5, 7});
  CHECK(values(b.grad()) == std::vector<double>{2, 3});
  const Tensor plain = ones({2}, f64);
  plain.mul_(b);
  plain.sum().backward();
  CHECK(values(b.grad()) == std::vector<double>{3, 4});
}

TEST_CASE("changes in place of nothing are refused") {
  const Tensor none, one = ones({2});
  CHECK_THROWS_WITH_AS(none.add_(one), "add_: the tensor is undefined", Error);
  CHECK_THROWS_WITH_AS(none.mul_(one), "mul_: the tensor is undefined", Error);
  CHECK_THROWS_WITH_AS(none.mul_(2.0), "mul_: the tensor is undefined", Error);
  CHECK_THROWS_WITH_AS(none.copy_(one), "copy_: the tensor is undefined", Error);
  CHECK_THROWS_WITH_AS(none.fill_(1), "fill_: the tensor is undefined", Error);
}

TEST_CASE("a result that is overwritten by constants is a leaf again") {
  const Tensor w = ones({2}).requires_grad_();
  for (const bool fills : {true, false}) {
    const Tensor y = w * 2.0;
    if (fills)
      y.fill_(3.0);
    else
      y.copy_(full({2}, 3.0));
    CHECK(y.is_leaf());
    CHECK_FALSE(y.requires_grad());
    y.requires_grad_();
    (y * y).sum().backward();
    CHECK(y.grad().to_vector<float>() == std::vector<float>{6, 6});
    CHECK_FALSE(w.grad().defined());
  }
}

TEST_CASE("copies within a type keep every bit") {
  for (const std::uint16_t bits : {0x7f81, 0xff83, 0x8000, 0x0001}) {
    CAPTURE(bits);
    const Tensor x = full({40, 3}, 1.0, bf16);
    bfloat16* const data = x.mutable_data<bfloat16>();
    for (std::int64_t i = 0; i < x.numel(); ++i) data[i].bits = bits;
    for (const Tensor& copy : {x.clone(), x.narrow(1, 1, 2).contiguous(), x.transpose(0, 1).contiguous()})
      for (std::int64_t i = 0; i < copy.numel(); ++i) CHECK(copy.data<bfloat16>()[i].bits == bits);
  }
}
