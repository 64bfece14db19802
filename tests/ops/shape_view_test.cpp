// Views: shapes, strides, shared storage, gradients.

#include <limits>

#include "ops/slice.hpp"
#include "ops/view.hpp"
#include "tests/ops/shape_test_support.hpp"

using namespace lucid;

using namespace shape_tests;

TEST_CASE("records of views: gradients and refusals") {
  for (const char* name : {"reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "expand",
                           "slice", "narrow", "select", "getitem", "slice_backward"})
    check_record(name);
}

TEST_CASE("reshape is a view where the strides allow it and a copy where not") {
  const Tensor x = counting({2, 3, 4});
  CHECK(same_memory(x.reshape({6, -1}), x));
  CHECK(x.reshape({6, -1}).shape() == Shape{6, 4});
  CHECK(values(x.reshape({4, 6})) == values(x));

  const Tensor swapped = x.transpose(1, 2);
  CHECK_FALSE(same_memory(swapped.reshape({24}), x));
  CHECK(values(swapped.reshape({24})) == values(swapped));
  CHECK(same_memory(swapped.reshape({2, 2, 2, 3}), x));
  CHECK(values(swapped.reshape({2, 2, 2, 3})) == values(swapped));

  const Tensor volume = counting({2, 3, 2, 2, 2}).channels_last();
  const Tensor flat = volume.reshape({2, 3, -1});
  CHECK(same_memory(flat, volume));
  CHECK(flat.strides() == Strides{24, 1, 3});
  CHECK(values(flat) == values(volume));

  CHECK(empty({0, 3}).reshape({-1, 2}).shape() == Shape{0, 2});
  CHECK(contains(message_of([] { empty({0, 3}).reshape({-1, 0}); }), "(-1, 0)"));
  CHECK(counting({}).reshape({1, 1}).shape() == Shape{1, 1});
  const Tensor repeated = counting({2, 1}).expand({2, 3});
  CHECK(values(repeated.reshape({6})) == Values{0, 0, 0, 1, 1, 1});
}

TEST_CASE("views of a channels-last volume keep its memory order") {
  const Tensor x = counting({2, 3, 2, 3, 4}).channels_last();
  CHECK(x.slice(0, 1, 2).is_channels_last());
  CHECK(x.unsqueeze(0).squeeze(0).is_channels_last());
  CHECK(x.select(2, 0).strides() == Strides{72, 1, 12, 3});
  CHECK(x.permute({0, 2, 3, 4, 1}).is_contiguous());
  CHECK(same_memory(x.permute({0, 2, 3, 4, 1}), x));
}

TEST_CASE("the gradient of a slice of a channels-last volume is channels-last") {
  const Tensor x = counting({2, 3, 2, 3, 4}).channels_last();
  x.requires_grad_();
  x.slice(1, 0, 2).backward(ones({2, 2, 2, 3, 4}, f64));
  CHECK(x.grad().is_channels_last());
  CHECK(values(x.grad().select(1, 1)) == Values(48, 1.0));
  CHECK(values(x.grad().select(1, 2)) == Values(48, 0.0));
}

TEST_CASE("slice wraps and clamps its bounds") {
  const Tensor x = counting({5});
  CHECK(values(x.slice(0, 1, 4)) == Values{1, 2, 3});
  CHECK(values(x.slice(0, -2, 100)) == Values{3, 4});
  CHECK(values(x.slice(0, -100, -3)) == Values{0, 1});
  CHECK(values(x.slice(0, 1, 5, 3)) == Values{1, 4});
  CHECK(values(x.slice(0, 0, 5, 1'000'000'000'000)) == Values{0});
  CHECK(x.slice(0, 4, 2).shape() == Shape{0});
  CHECK(values(narrow(x, 0, full({}, -2, i64), 2)) == Values{3, 4});
  CHECK(x.slice(0, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max())
            .numel() == 5);
  CHECK(contains(message_of([&] { x.slice(0, 0, 5, -1); }), "slice: step -1"));
  CHECK(contains(message_of([&] { counting({}).select(0, 0); }), "select: a tensor of rank 0"));
}

TEST_CASE("index reads like brackets") {
  const Tensor x = counting({2, 3, 4});
  CHECK(values(index(x, {1, 2, 3})) == Values{23});
  CHECK(index(x, {1, 2, 3}).shape() == Shape{});
  CHECK(values(index(x, {Ellipsis, -1})) == Values{3, 7, 11, 15, 19, 23});
  CHECK(index(x, {Slice(), None, Slice(1)}).shape() == Shape{2, 1, 2, 4});
  CHECK(values(index(x, {0, Slice(None, None, 2), Slice(1, 3)})) == Values{1, 2, 9, 10});
  CHECK(same_memory(index(x, {0}), x));
  CHECK(index(x, {}).shape() == x.shape());
  CHECK(contains(message_of([&] { index(x, {Ellipsis, Ellipsis}); }), "2 ellipses"));
  CHECK(contains(message_of([&] { index(x, {0, 3}); }), "index 3 is out of range for axis 1 of size 3"));
}

TEST_CASE("expand repeats without copying and refuses what does not fit") {
  const Tensor x = counting({3, 1});
  const Tensor y = x.expand({2, -1, 4});
  CHECK(same_memory(x, y));
  CHECK(y.strides() == Strides{0, 1, 0});
  CHECK(values(y.select(0, 1).select(1, 3)) == Values{0, 1, 2});
  CHECK(x.expand({3, 0}).shape() == Shape{3, 0});
  const std::int64_t large = std::int64_t{1} << 40;
  CHECK(contains(message_of([&] { x.expand({large, 3, large}); }), "expand: shape"));
}

TEST_CASE("a graph of views leads gradients back to the elements they came from") {
  const Tensor x = counting({2, 3, 4});
  x.requires_grad_();
  const Tensor y =
      index(x.permute({2, 0, 1}).reshape({4, 6}).unsqueeze(1), {Slice(1, 3), 0, Slice(None, None, 5)});
  y.backward(Tensor::from({1, 2, 3, 4}, {2, 2}, f64));
  Values expected(24, 0.0);
  expected[1] = 1, expected[21] = 2, expected[2] = 3, expected[22] = 4;
  CHECK(values(x.grad()) == expected);
}
