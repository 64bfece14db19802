// Indexing by positions and masks: where the picked axes go, what is refused, and the gradient of a row
// picked twice.

#include "ops/slice.hpp"
#include "tests/ops/shape_test_support.hpp"

using namespace lucid;

using namespace shape_tests;

namespace {

Tensor positions(const std::vector<std::int64_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

Tensor mask(const std::vector<std::int64_t>& values, const Shape& shape) {
  return Tensor::from(values, shape).to(boolean);
}

}  // namespace

TEST_CASE("positions pick along their axis, negative ones from its end") {
  const Tensor x = counting({3, 2});
  CHECK(values(index(x, {positions({2, -3})})) == Values{4, 5, 0, 1});
  CHECK(values(index(x, {positions({0, 2}), positions({1, 0})})) == Values{1, 4});
  CHECK(index(x, {positions({})}).shape() == Shape{0, 2});
  const Tensor table = Tensor::from(std::vector<std::int64_t>{0, 1, 2, 0}, {2, 2});
  CHECK(index(x, {table}).shape() == Shape{2, 2, 2});
}

TEST_CASE("picked axes stay in place, or come first when others lie between them") {
  const Tensor x = counting({2, 3, 4, 5});
  const Tensor two = positions({0, 1});
  CHECK(index(x, {Slice(), two, two}).shape() == Shape{2, 2, 5});
  CHECK(index(x, {Slice(), two, Slice(), two}).shape() == Shape{2, 2, 4});
  CHECK(index(x, {Ellipsis, positions({4, 4, 0})}).shape() == Shape{2, 3, 4, 3});
  CHECK(index(x, {0, Slice(), positions({3})}).shape() == Shape{3, 1, 5});
  CHECK(values(index(x, {1, None, two, Slice(0, 1), positions({2, 4})})) == Values{62, 84});
}

TEST_CASE("a mask picks where it holds") {
  const Tensor x = counting({2, 3});
  CHECK(values(index(x, {mask({1, 0, 1, 0, 1, 0}, {2, 3})})) == Values{0, 2, 4});
  CHECK(values(index(x, {Slice(), mask({0, 1, 1}, {3})})) == Values{1, 2, 4, 5});
  CHECK(index(x, {mask({0, 0}, {2})}).shape() == Shape{0, 3});
}

TEST_CASE("a row picked twice receives both gradients") {
  const Tensor x = counting({3, 2});
  x.requires_grad_();
  index(x, {positions({1, 1, 0})}).sum().backward();
  CHECK(values(x.grad()) == Values{1, 1, 2, 2, 0, 0});
}

TEST_CASE("indices that do not fit are refused by name") {
  const Tensor x = counting({2, 3});
  CHECK(contains(message_of([&] { index(x, {positions({2})}); }), "position 2"));
  CHECK(contains(message_of([&] { index(x, {Slice(), positions({-4})}); }), "axis 1 of size 3"));
  CHECK(contains(message_of([&] { index(x, {mask({1, 0, 1}, {3})}); }), "mask of shape (3)"));
  CHECK(contains(message_of([&] { index(x, {ones({2}, f32)}); }), "float32"));
  CHECK(contains(message_of([&] { index(x, {positions({0, 1}), positions({0, 1, 2})}); }), "(2)"));
  CHECK(contains(message_of([&] { index(x, {Tensor()}); }), "undefined"));
  CHECK(contains(message_of([&] { index(x, {mask({1}, {}), 0, 0}); }), "rank 0"));
}
