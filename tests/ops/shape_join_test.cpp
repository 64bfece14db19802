// cat, stack, split, chunk, pad, flip, roll, repeat.

#include "ops/join.hpp"
#include "ops/pad.hpp"
#include "ops/rearrange.hpp"
#include "ops/view.hpp"
#include "tests/ops/shape_test_support.hpp"

using namespace lucid;
using namespace shape_tests;

TEST_CASE("records of joining and rearranging: gradients and refusals") {
  for (const char* name : {"cat", "stack", "split", "chunk", "pad", "flip", "roll", "repeat"})
    check_record(name);
}

TEST_CASE("cat keeps volumes channels-last and gives what row-major volumes give") {
  for (const DType dtype : {f32, f64, bf16, u8}) {
    const Tensor a = counting({2, 3, 2, 3, 4}).to(dtype), b = counting({2, 5, 2, 3, 4}).to(dtype);
    const Tensor joined = cat({a, b}, 1);
    CHECK(joined.is_contiguous());
    CHECK(values(joined.slice(1, 0, 3)) == values(a));
    CHECK(values(joined.slice(1, 3, 8)) == values(b));
    const Tensor last = cat({a.channels_last(), b.channels_last()}, 1);
    CHECK(last.is_channels_last());
    CHECK(values(last) == values(joined));
    CHECK(values(cat({a, b.channels_last()}, 1)) == values(joined));
    CHECK(values(cat({a.slice(1, 0, 3), joined.slice(1, 3, 8)}, 1)) == values(joined));
  }
  const Tensor image = counting({2, 1, 2, 3, 4}), features = counting({2, 5, 2, 3, 4}).channels_last();
  CHECK(cat({image, features}, 1).is_channels_last());
}

TEST_CASE("cat joins along every axis, blocks larger than a cache line of work included") {
  const Tensor x = counting({3, 70, 41});
  for (const std::int64_t dim : {0, 1, 2}) {
    const Tensor whole = dim == 0 ? x : x.transpose(0, dim).contiguous();
    const Tensor again = cat({whole.slice(dim, 0, 1), whole.slice(dim, 1, 3)}, dim);
    CHECK(values(again) == values(whole));
    const Tensor dense = cat({whole.slice(dim, 0, 1).contiguous(), whole.slice(dim, 1, 3).contiguous()}, dim);
    CHECK(values(dense) == values(whole));
  }
}

TEST_CASE("cat passes over empty tensors of shape (0) and promotes types") {
  const Tensor none = empty({0}, f64), x = counting({2, 3});
  none.requires_grad_();
  x.requires_grad_();
  const Tensor y = cat({none, x, none}, 1);
  CHECK(values(y) == values(x));
  y.backward(ones({2, 3}, f64));
  CHECK(values(x.grad()) == Values(6, 1.0));
  CHECK(cat({empty({0}), empty({0})}).shape() == Shape{0});
  CHECK(cat({ones({2}, f32), ones({1}, f64)}).dtype() == f64);
  CHECK(values(cat({full({2}, 3, i64), full({1}, 0.5, f32)})) == Values{3, 3, 0.5});
}

TEST_CASE("a tensor may be joined to itself") {
  const Tensor x = counting({2});
  x.requires_grad_();
  cat({x, x}).backward(Tensor::from({1, 2, 3, 4}, {4}, f64));
  CHECK(values(x.grad()) == Values{4, 6});
}

TEST_CASE("split and chunk cut as PyTorch does") {
  const Tensor x = counting({7, 2});
  const auto sizes = [](const Tensors& parts) {
    std::vector<std::int64_t> out;
    for (const Tensor& part : parts) out.push_back(part.size(0));
    return out;
  };
  using Sizes = std::vector<std::int64_t>;
  CHECK(sizes(split(x, 3)) == Sizes{3, 3, 1});
  CHECK(sizes(split(x, Sizes{2, 0, 5})) == Sizes{2, 0, 5});
  CHECK(sizes(chunk(x, 3)) == Sizes{3, 3, 1});
  CHECK(sizes(chunk(x, 5)) == Sizes{2, 2, 2, 1});
  CHECK(sizes(chunk(x, 9)) == Sizes(7, 1));
  CHECK(sizes(chunk(empty({0, 2}), 3)) == Sizes{0, 0, 0});
  CHECK(sizes(split(empty({0, 2}), 3)) == Sizes{0});
  CHECK(values(split(x, 3)[2]) == Values{12, 13});
  CHECK(same_memory(split(x, 3)[1], x));
}

TEST_CASE("parts that took no part in the result get zero gradients") {
  const Tensor x = counting({5});
  x.requires_grad_();
  (split(x, 2)[1] * 3.0).sum().backward();
  CHECK(values(x.grad()) == Values{0, 0, 3, 3, 0});
}

TEST_CASE("pad counts the last axis first and fills, crops, mirrors, repeats and turns") {
  const Tensor x = counting({2, 3});
  CHECK(values(pad(x, {1, 0}, PadMode::constant, 9)) == Values{9, 0, 1, 2, 9, 3, 4, 5});
  CHECK(values(pad(x, {0, 0, 0, 1})) == Values{0, 1, 2, 3, 4, 5, 0, 0, 0});
  CHECK(values(pad(x, {-1, 1}, PadMode::constant, 9)) == Values{1, 2, 9, 4, 5, 9});
  CHECK(values(pad(x, {-4, 5}, PadMode::constant, 9)) == Values(8, 9.0));
  CHECK(pad(x, {-1, -2}).shape() == Shape{2, 0});
  CHECK(values(pad(x, {2, 1}, PadMode::reflect).select(0, 0)) == Values{2, 1, 0, 1, 2, 1});
  CHECK(values(pad(x, {2, 1}, PadMode::replicate).select(0, 0)) == Values{0, 0, 0, 1, 2, 2});
  CHECK(values(pad(x, {2, 1}, PadMode::circular).select(0, 0)) == Values{1, 2, 0, 1, 2, 0});
  CHECK(values(pad(x, {0, 0, 1, 1}, PadMode::circular).select(1, 0)) == Values{3, 0, 3, 0});
  CHECK(values(pad(x, {-1, 2}, PadMode::circular).select(0, 0)) == Values{1, 2, 1, 2});
  CHECK(values(pad(x, {1, -1}, PadMode::circular).select(0, 0)) == Values{1, 0, 1});
  CHECK(pad(counting({2, 3, 2, 2, 2}).channels_last(), {1, 1, 0, 1}).is_channels_last());
  CHECK(pad(empty({0, 3, 3}), {1, 1, 1, 1, 1, 1}).shape() == Shape{2, 5, 5});
  CHECK_FALSE(same_memory(pad(x, {}), x));
  CHECK_FALSE(same_memory(pad(x, {0, 0}, PadMode::reflect), x));
  CHECK(contains(message_of([&] { pad(x, {std::numeric_limits<std::int64_t>::max(), 1}); }), "pad: size"));
}

TEST_CASE("flip, roll and repeat") {
  const Tensor x = counting({2, 3});
  CHECK(values(flip(x, {0})) == Values{3, 4, 5, 0, 1, 2});
  CHECK(values(flip(x, {0, 1})) == Values{5, 4, 3, 2, 1, 0});
  CHECK(flip(counting({2, 3, 2, 2, 2}).channels_last(), {1, 4}).is_channels_last());
  CHECK(values(roll(x, {1}, {1})) == Values{2, 0, 1, 5, 3, 4});
  CHECK(values(roll(x, {-1})) == Values{1, 2, 3, 4, 5, 0});
  CHECK(values(roll(x, {4, 1}, {1, 0})) == Values{5, 3, 4, 2, 0, 1});
  CHECK_FALSE(same_memory(roll(x, {0}), x));
  CHECK(values(repeat(x, {1, 2})) == Values{0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5});
  CHECK(repeat(x, {2, 0, 3}).shape() == Shape{2, 0, 9});
  CHECK(values(repeat(Tensor::from({1, 2}, {2}), {3})) == Values{1, 2, 1, 2, 1, 2});
}
