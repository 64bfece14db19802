// Indexing by positions and masks: where the picked axes go, what is refused, and the gradient of a row
// picked twice.

#include <nlohmann/json.hpp>

#include "ops/picked_index.hpp"
#include "ops/quote.hpp"
#include "ops/slice.hpp"
#include "ops/view.hpp"
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

TEST_CASE("too many ellipses or indices beside tensors are refused") {
  const Tensor x = counting({2, 3, 4});
  const Tensor two = mask({0, 1}, {2});
  const auto refused = [&](const std::vector<TensorIndex>& indices, const char* part) {
    CHECK(contains(message_of([&] { index(x, indices); }), part));
  };
  std::vector<TensorIndex> many(7, Ellipsis);
  many.emplace_back(two);
  refused(many, "7 ellipses; at most one");
  refused({Ellipsis, two, Ellipsis}, "2 ellipses");
  refused({two, 0, 0, 0}, "4 indices");
  refused({positions({0}), positions({0}), positions({0}), positions({0})}, "4 indices");
  refused({mask(std::vector<std::int64_t>(6, 1), {2, 3}), positions({0}), 0}, "4 indices");
  CHECK(!message_of([&] { index(x, {zeros({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, i64)}); }).empty());
}

TEST_CASE("positions that broadcast to more than memory holds are refused") {
  const Tensor x = counting({3, 2});
  const Tensor column = zeros({1000000, 1}, i64), row = zeros({1, 1000000}, i64);
  CHECK(!message_of([&] { index(x, {column, row}); }).empty());
}

TEST_CASE("many positions on several axes pick what single indices pick") {
  const Tensor x = counting({3, 5, 7, 2});
  const Tensor channels_last = permute(permute(x, {0, 2, 3, 1}).contiguous(), {0, 3, 1, 2});
  const std::int64_t count = 100000;  // more than one thread's share
  std::vector<std::int64_t> first, second;
  for (std::int64_t i = 0; i < count; ++i) {
    first.push_back(i * 11 % 5);
    second.push_back(i * 17 % 7 - 7);
  }
  for (const Tensor& input : {x, channels_last}) {
    const Tensor out = index(input, {Slice(), positions(first), positions(second)});
    const Tensor front = index(input, {1, positions(first), Slice(), zeros({1}, i64)});
    REQUIRE(out.shape() == Shape{3, count, 2});
    REQUIRE(front.shape() == Shape{count, 7});
    const Values all = values(out), ones = values(front);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::int64_t row = first[at], column = second[at] + 7;
      for (std::int64_t n = 0; n < 3; ++n)
        for (std::int64_t c = 0; c < 2; ++c)
          wrong += all[static_cast<std::size_t>((n * count + i) * 2 + c)] !=
                   static_cast<double>(((n * 5 + row) * 7 + column) * 2 + c);
      for (std::int64_t j = 0; j < 7; ++j)
        wrong += ones[at * 7 + static_cast<std::size_t>(j)] != static_cast<double>(((5 + row) * 7 + j) * 2);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("nested lists are read exactly, and refused without being quoted at length") {
  const auto refused = [](const nlohmann::json& in) {
    return message_of([&] { ops::read_nested_list(in); });
  };
  CHECK(contains(refused({{std::uint64_t{1} << 63}}), "9223372036854775808 does not fit"));
  CHECK(contains(refused({{1, 2}, {3}}), "2 and 1"));
  CHECK(contains(refused({{1}, 2}), "one depth"));
  CHECK(contains(refused({1, true}), "positions or of booleans"));
  nlohmann::json deep = 0;
  for (int i = 0; i < 20000; ++i) {
    nlohmann::json outer = nlohmann::json::array();
    outer.push_back(std::move(deep));
    deep = std::move(outer);
  }
  CHECK(contains(refused(deep), "12 deep"));
  CHECK(ops::quote(deep).size() < 100);
  CHECK(ops::quote(nlohmann::json(std::string(99999, 'x'))).size() < 1100);
  CHECK(ops::quote({{1, 2}, "three"}) == "[[1,2],\"three\"]");
}
