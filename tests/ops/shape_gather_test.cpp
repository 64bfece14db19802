// index_select, index_add, gather, scatter_add, topk, one_hot, embedding.

#include <limits>

#include "ops/gather.hpp"
#include "ops/view.hpp"
#include "tests/ops/shape_test_support.hpp"

using namespace lucid;
using namespace shape_tests;

namespace {

Tensor positions(std::initializer_list<double> list) {
  return Tensor::from(list, {static_cast<std::int64_t>(list.size())}, i64);
}

}  // namespace

TEST_CASE("records of picking: gradients and refusals") {
  for (const char* name : {"index_select", "index_select_backward", "index_add", "gather", "scatter_add",
                           "topk", "one_hot", "embedding"})
    check_record(name);
}

TEST_CASE("index_select picks along every axis of every layout") {
  const Tensor x = counting({2, 3, 2, 3, 4});
  const Tensor index = positions({1, 0, 1});
  for (const Tensor& y : {x, x.channels_last(), x.transpose(1, 4).contiguous().transpose(1, 4)})
    for (std::int64_t dim = 0; dim < 5; ++dim) {
      const Tensor picked = index_select(y, dim, index);
      for (std::int64_t j = 0; j < 3; ++j)
        CHECK(values(picked.select(dim, j)) == values(x.select(dim, j == 1 ? 0 : 1)));
    }
  CHECK(index_select(x.channels_last(), 1, index).is_channels_last());
  const Tensor part = x.slice(4, 1, 3);
  CHECK(values(index_select(part, 3, index).select(3, 0)) == values(part.select(3, 1)));
  CHECK(index_select(x, 0, empty({0}, i64)).shape() == Shape{0, 3, 2, 3, 4});
  CHECK(values(index_select(counting({3}), 0, positions({2}).to(i32))) == Values{2});
}

TEST_CASE("many small numbers that meet in one place are summed exactly enough") {
  const std::int64_t count = 1 << 20;
  const Tensor index = zeros({count}, i64);
  const Tensor tenth = full({count, 1}, 0.1, f32);
  const double expected = count * static_cast<double>(0.1F);
  CHECK(values(index_add(zeros({2, 1}), 0, index, tenth))[0] == doctest::Approx(expected).epsilon(1e-7));
  CHECK(values(scatter_add(zeros({2}), 0, index, tenth.flatten()))[0] ==
        doctest::Approx(expected).epsilon(1e-7));
}

TEST_CASE("gather and scatter_add on blocks of many columns, any layout") {
  const Tensor x = counting({3, 50, 40});
  Generator generator(2);
  const Tensor index = randint(0, 3, {5, 50, 40}, i64, &generator);
  const Tensor y = gather(x, 0, index);
  const Values got = values(y), picks = values(index);
  bool right = true;
  for (std::size_t i = 0; i < got.size(); ++i)
    right &= got[i] == picks[i] * 2000 + static_cast<double>(i % 2000);
  CHECK(right);
  CHECK(values(gather(x.transpose(1, 2).contiguous().transpose(1, 2), 0, index)) == got);
  const Tensor turned = gather(x.transpose(0, 2), 2, index.transpose(0, 2));
  CHECK(values(turned.transpose(0, 2)) == got);

  const Values sums = values(scatter_add(zeros({3, 50, 40}, f64), 0, index, y));
  Values expected(6000, 0.0);
  for (std::size_t i = 0; i < got.size(); ++i)
    expected[static_cast<std::size_t>(picks[i]) * 2000 + i % 2000] += got[i];
  CHECK(sums == expected);
}

TEST_CASE("topk orders, keeps the earlier of equals and puts NaN on top") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto [high, where] = topk(Tensor::from({1, 3, nan, 3, 2}, {5}, f64), 3);
  CHECK(values(where) == Values{2, 1, 3});
  CHECK(values(high.slice(0, 1, 3)) == Values{3, 3});
  const auto [low, at] = topk(counting({2, 3}), 1, 0, false);
  CHECK(values(low) == Values{0, 1, 2});
  CHECK(values(at) == Values{0, 0, 0});
  CHECK(topk(counting({2, 3}), 0).first.shape() == Shape{2, 0});
  CHECK(values(topk(counting({}), 1).first) == Values{0});
}

TEST_CASE("the gradient of topk goes to the elements chosen") {
  const Tensor x = Tensor::from({1, 5, 3}, {3}, f64);
  x.requires_grad_();
  topk(x, 2).first.backward(Tensor::from({10, 20}, {2}, f64));
  CHECK(values(x.grad()) == Values{0, 10, 20});
}

TEST_CASE("one_hot counts its classes when not told") {
  CHECK(values(one_hot(positions({0, 2}))) == Values{1, 0, 0, 0, 0, 1});
  CHECK(one_hot(positions({0}).reshape({1, 1}), 4).shape() == Shape{1, 1, 4});
  CHECK(contains(message_of([] { one_hot(empty({0}, i64)); }), "num_classes -1"));
  CHECK(contains(message_of([] { one_hot(full({1}, std::numeric_limits<std::int64_t>::max(), i64)); }),
                 "one_hot"));
}

TEST_CASE("embedding gives no gradient to the padding row") {
  const Tensor weight = counting({3, 2});
  weight.requires_grad_();
  const Tensor y = embedding(positions({2, 0, 2}), weight, -1);
  CHECK(values(y) == Values{4, 5, 0, 1, 4, 5});
  y.backward(ones({3, 2}, f64));
  CHECK(values(weight.grad()) == Values{1, 1, 0, 0, 0, 0});
}
