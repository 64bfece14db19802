#include "ops/pool.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "autograd/backward.hpp"
#include "lucid/random.hpp"

using namespace lucid;

namespace {

Tensor line(std::initializer_list<double> values) {
  return Tensor::from(values, {1, 1, static_cast<std::int64_t>(values.size())}, f64);
}

Tensor random(const Shape& shape, DType dtype = f64, std::uint64_t seed = 1) {
  Generator generator(seed);
  return randn(shape, dtype, &generator);
}

using Values = std::vector<double>;
Values values(const Tensor& tensor) { return tensor.to_vector<double>(); }

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("max_pool takes the largest of each window and says where") {
  const Tensor x = line({1, 5, 2, 4, 3});
  CHECK(values(max_pool1d(x, {.kernel_size = 2})) == Values{5, 4});
  CHECK(values(max_pool1d(x, {.kernel_size = 2, .ceil_mode = true})) == Values{5, 4, 3});
  CHECK(values(max_pool1d(x, {.kernel_size = 3, .stride = 1, .padding = 1})) == Values{5, 5, 5, 4, 4});
  CHECK(values(max_pool1d(x, {.kernel_size = 2, .stride = 1, .dilation = 3})) == Values{4, 5});
  CHECK(values(max_pool1d_with_indices(x, {.kernel_size = 2}).second) == Values{1, 3});
}

TEST_CASE("positions count row-major over the spatial axes, whatever the layout") {
  const Tensor x = random({2, 5, 4, 6, 8});
  const auto [plain, plain_at] = max_pool3d_with_indices(x, {.kernel_size = {2, 3, 4}});
  const auto [last, last_at] = max_pool3d_with_indices(x.channels_last(), {.kernel_size = {2, 3, 4}});
  CHECK(plain_at.dtype() == i64);
  CHECK(values(plain) == values(last));
  CHECK(values(plain_at) == values(last_at));
  CHECK(last.is_channels_last());
  CHECK(plain.is_contiguous());
  const Values flat = values(x.reshape({10, 4 * 6 * 8})), at = values(plain_at), best = values(plain);
  for (std::size_t i = 0; i < best.size(); ++i)
    CHECK(flat[i / 8 * 192 + static_cast<std::size_t>(at[i])] == best[i]);
}

TEST_CASE("NaN wins, the first of equal values is chosen, minus infinity is a value") {
  CHECK(std::isnan(values(max_pool1d(line({1, NAN, 3, 4}), {.kernel_size = 4}))[0]));
  CHECK(values(max_pool1d_with_indices(line({1, NAN, 3, 4}), {.kernel_size = 4}).second) == Values{1});
  CHECK(values(max_pool1d_with_indices(line({7, 7, 7}), {.kernel_size = 3}).second) == Values{0});
  const double low = -std::numeric_limits<double>::infinity();
  const auto [value, at] = max_pool1d_with_indices(line({low, low}), {.kernel_size = 2});
  CHECK(values(value) == Values{low});
  CHECK(values(at) == Values{0});
}

TEST_CASE("a window that lies in the padding alone has no position and no gradient") {
  const Tensor x = line({1, 2, 3, 4}).requires_grad_();
  const auto [value, at] = max_pool1d_with_indices(x, {.kernel_size = 2, .padding = 1, .dilation = 5});
  CHECK(values(value) == Values{-std::numeric_limits<double>::infinity()});
  CHECK(values(at) == Values{-1});
  CHECK(values(autograd::grad({value}, {x}, {ones(value.shape(), f64)})[0]) == Values{0, 0, 0, 0});
}

TEST_CASE("overlapping windows add their gradients at a shared maximum") {
  for (const std::int64_t channels : {1, 6}) {
    const Tensor x = line({1, 5, 2}).expand({1, channels, 3}).clone().requires_grad_();
    const Tensor y = max_pool1d(x, {.kernel_size = 2, .stride = 1});
    const Values g = values(autograd::grad({y}, {x}, {ones(y.shape(), f64)})[0]);
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      CHECK(g[3 * c] == 0);
      CHECK(g[3 * c + 1] == 2);
      CHECK(g[3 * c + 2] == 0);
    }
  }
}

TEST_CASE("changing the positions that the backward pass needs is noticed") {
  const Tensor x = random({1, 2, 4}).requires_grad_();
  const auto [y, at] = max_pool1d_with_indices(x, {.kernel_size = 2});
  at.fill_(0);
  CHECK_THROWS_AS(autograd::grad({y}, {x}, {ones(y.shape(), f64)}), AutogradError);
}

TEST_CASE("avg_pool divides as it is told to") {
  const Tensor x = line({2, 4, 6});
  CHECK(values(avg_pool1d(x, {.kernel_size = 2, .stride = 1})) == Values{3, 5});
  CHECK(values(avg_pool1d(x, {.kernel_size = 2, .padding = 1})) == Values{1, 5});
  CHECK(values(avg_pool1d(x, {.kernel_size = 2, .padding = 1, .count_include_pad = false})) == Values{2, 5});
  CHECK(values(avg_pool1d(x, {.kernel_size = 2, .padding = 1, .divisor_override = -1})) == Values{-2, -10});
  // the last window hangs over the end: what lies beyond the padding does not count
  CHECK(values(avg_pool1d(x, {.kernel_size = 2, .ceil_mode = true})) == Values{3, 6});
}

TEST_CASE("adaptive windows cover the input and may overlap") {
  const Tensor x = line({1, 2, 3, 4, 5});
  const Values halves = values(adaptive_avg_pool1d(x, 2));
  CHECK(halves[0] == doctest::Approx(2).epsilon(1e-15));
  CHECK(halves[1] == doctest::Approx(4).epsilon(1e-15));
  CHECK(values(adaptive_max_pool1d(x, 3)) == Values{2, 4, 5});
  CHECK(values(adaptive_avg_pool1d(x, 10)) == Values{1, 1, 2, 2, 3, 3, 4, 4, 5, 5});
  CHECK(adaptive_avg_pool3d(random({2, 3, 4, 5, 6}), OutputSize<3>({7, std::nullopt, 1})).shape() ==
        Shape{2, 3, 7, 5, 1});
  CHECK(adaptive_avg_pool1d(x, 0).shape() == Shape{1, 1, 0});
}

TEST_CASE("a global mean of many float32 elements has no more error than two roundings") {
  const Tensor x = random({1, 8, 40, 40, 40}, f32, 3) + 100.0f;
  for (const Tensor& input : {x, x.channels_last()}) {
    const Values narrow = values(adaptive_avg_pool3d(input, 1)), wide = values(x.to(f64).mean({2, 3, 4}));
    for (std::size_t c = 0; c < 8; ++c) CHECK(std::abs(narrow[c] - wide[c]) < 2 * 0x1p-23 * 100);
  }
}

TEST_CASE("an empty batch pools to an empty batch and has an empty gradient") {
  const Tensor x = zeros({0, 3, 4, 4, 4}, f64).requires_grad_();
  for (const Tensor& y : {max_pool3d(x, {.kernel_size = 2}), avg_pool3d(x, {.kernel_size = 2})}) {
    CHECK(y.shape() == Shape{0, 3, 2, 2, 2});
    CHECK(autograd::grad({y}, {x}, {y.detach()})[0].shape() == x.shape());
  }
  const Tensor some = random({1, 2, 3}).requires_grad_();
  const Tensor none = adaptive_max_pool1d(some, 0);
  CHECK(values(autograd::grad({none}, {some}, {none.detach()})[0]) == Values(6, 0.0));
}

TEST_CASE("a window far larger than the input reads the input alone") {
  const std::int64_t huge = std::int64_t{1} << 62;
  const Tensor x = line({1, 4, 3});
  CHECK(values(max_pool1d(x, {.kernel_size = huge, .padding = huge / 2})) == Values{4});
  CHECK(values(avg_pool1d(x, {.kernel_size = huge, .padding = huge / 2, .divisor_override = 1})) ==
        Values{8});
}

TEST_CASE("pooling of bfloat16 keeps the type") {
  const Tensor x = random({1, 4, 4, 4, 4}).to(bf16);
  CHECK(values(max_pool3d(x, {.kernel_size = 2})) == values(max_pool3d(x.to(f64), {.kernel_size = 2})));
  CHECK(avg_pool3d(x, {.kernel_size = 2}).dtype() == bf16);
}

TEST_CASE("max_unpool3d puts maxima back where they were") {
  const Tensor x = random({2, 3, 4, 4, 6}).requires_grad_();
  const auto [y, at] = max_pool3d_with_indices(x, {.kernel_size = 2});
  const Tensor back = max_unpool3d(y, at, {.kernel_size = 2});
  CHECK(back.shape() == x.shape());
  CHECK(values(max_pool3d(back.abs(), {.kernel_size = 2})) == values(y.abs()));
  CHECK(values(back.sum()) == values(y.sum()));
  CHECK(values(max_unpool3d(y.detach().channels_last(), at, {.kernel_size = 2})) == values(back));
  CHECK(max_unpool3d(y, at, {.kernel_size = 2, .output_size = Shape{5, 5, 7}}).shape() ==
        Shape{2, 3, 5, 5, 7});
}

TEST_CASE("max_unpool: a chosen size may be reached from a default that is none") {
  const Tensor x = full({1, 1, 1}, 3.0).requires_grad_();
  const auto [y, at] = max_pool1d_with_indices(x, {.kernel_size = 2, .stride = 2, .padding = 1});
  const Tensor back =
      max_unpool1d(y, at, {.kernel_size = 2, .stride = 2, .padding = 1, .output_size = Shape{1}});
  CHECK(back.shape() == Shape{1, 1, 1});
  CHECK(back.item<float>() == 3);
  const auto text = [&y = y, &at = at](const MaxUnpool1dOptions& options) {
    return refusal([&] { max_unpool1d(y, at, options); });
  };
  CHECK(text({.kernel_size = 2, .stride = 2, .padding = 1}) ==
        "max_unpool1d: kernel_size (2), stride (2) and padding (1) make the result of size 0; at least 1 is "
        "required");
  CHECK(text({.kernel_size = 2, .stride = 2, .padding = 1, .output_size = Shape{0}}) ==
        "max_unpool1d: output_size is (0); on axis 0: 1 to 1 can be reached");
  CHECK(text({.kernel_size = 2, .stride = std::numeric_limits<std::int64_t>::max()}) != "");
  CHECK(text({.kernel_size = 2, .padding = std::numeric_limits<std::int64_t>::max()}) != "");
  CHECK(text({.kernel_size = 2, .stride = 1, .padding = 1, .output_size = Shape{1}}) ==
        "max_unpool1d: kernel_size (2), stride (1) and padding (1) make the result of size 0 at most; at "
        "least 1 is "
        "required");
}

TEST_CASE("pooling refuses what it cannot do, with the value in the message") {
  const Tensor x = ones({1, 2, 4, 4, 4});
  const auto names = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(refusal([&] {
          max_pool3d(x, {.kernel_size = {2, 2, 5}});
        }) ==
        "max_pool3d: kernel_size 5 with dilation 1 and padding 0 does not fit the input of size 4 on axis W");
  CHECK(names(refusal([&] { max_pool3d(x.to(i64), {.kernel_size = 2}); }), "int64"));
  CHECK(names(refusal([&] { avg_pool3d(x.to(i32), {.kernel_size = 2}); }), "int32"));
  CHECK(names(refusal([&] { max_pool3d(ones({2, 0, 4, 4}), {.kernel_size = 2}); }), "size 0 on axis D"));
  const std::int64_t huge = std::int64_t{1} << 62;
  CHECK(names(refusal([&] { max_pool3d(x, {.kernel_size = 3, .dilation = huge}); }), "max_pool3d"));
  CHECK(names(refusal([&] { adaptive_avg_pool3d(x, huge); }), "adaptive_avg_pool3d"));
  const Tensor at = full({1, 2, 1, 1, 1}, 64, i64);
  CHECK(names(refusal([&] { max_unpool3d(ones({1, 2, 1, 1, 1}), at, {.kernel_size = 4}); }), "64"));
  CHECK(names(refusal([&] {
                max_unpool3d(ones({1, 2, 1, 1, 1}), at.to(i32), {.kernel_size = 4});
              }),
              "int32"));
}
