// The distance transform against the definition, and the losses that are made of it, by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/backward.hpp"
#include "lucid/random.hpp"
#include "ops/distance_transform.hpp"
#include "ops/join.hpp"
#include "ops/loss.hpp"
#include "ops/reduce.hpp"
#include "tests/threads.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// By the definition, for one volume (1, 1, D, H, W).
Values nearest_zero(const Tensor& mask, const std::array<double, 3>& spacing) {
  const Values m = mask.to_vector<double>();
  const std::int64_t H = mask.size(3), W = mask.size(4);
  Values out;
  for (std::int64_t a = 0; a < mask.numel(); ++a) {
    double best = kInfinity;
    for (std::int64_t b = 0; b < mask.numel(); ++b) {
      if (m[static_cast<std::size_t>(b)] != 0) continue;
      const double z = spacing[0] * static_cast<double>(a / (H * W) - b / (H * W));
      const double y = spacing[1] * static_cast<double>(a / W % H - b / W % H);
      const double x = spacing[2] * static_cast<double>(a % W - b % W);
      best = std::min(best, z * z + y * y + x * x);
    }
    out.push_back(std::sqrt(best));
  }
  return out;
}

Tensor line(const Values& values) {
  return Tensor::from(values, {1, 1, static_cast<std::int64_t>(values.size())});
}

}  // namespace

TEST_CASE("distance_transform_edt of a point is the distance from it") {
  const Tensor mask = ones({1, 1, 5, 5}, u8);
  mask.mutable_data<std::uint8_t>()[0] = 0;
  const Tensor d = distance_transform_edt(mask);
  CHECK(d.dtype() == f32);
  const auto at = [&](std::int64_t y, std::int64_t x) { return d[0][0][y][x].item<double>(); };
  CHECK(at(0, 0) == 0);
  CHECK(at(4, 3) == 5);  // 3, 4, 5
  CHECK(at(0, 4) == 4);
  CHECK(at(1, 1) == doctest::Approx(std::sqrt(2.0)));
  const Tensor wide = distance_transform_edt(mask, {.sampling = {0.75, 3}});
  CHECK(wide[0][0][4][1].item<double>() == doctest::Approx(std::sqrt(9.0 + 9.0)));
}

TEST_CASE("distance_transform_edt is the definition's, for all densities, spacings and layouts") {
  for (const double density : {0.001, 0.02, 0.3, 0.9})
    for (const std::array<double, 3>& spacing :
         {std::array<double, 3>{1, 1, 1}, {0.7, 2.5, 1.1}, {5, 0.3, 0.3}}) {
      const Tensor mask = rand({1, 1, 9, 11, 23}, f64) > density;
      const Values expected = nearest_zero(mask, spacing);
      const DistanceTransformOptions options{.sampling = {spacing.begin(), spacing.end()}};
      const Values found = distance_transform_edt(mask.to(f64), options).to_vector<double>();
      const Values turned =
          distance_transform_edt(mask.permute({0, 1, 4, 3, 2}).clone().permute({0, 1, 4, 3, 2}), options)
              .to_vector<double>();
      for (std::size_t i = 0; i < expected.size(); ++i) {
        if (std::isinf(expected[i])) {  // a volume without a 0
          CHECK(found[i] == expected[i]);
          CHECK(turned[i] == expected[i]);
          continue;
        }
        CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-14));
        CHECK(turned[i] == doctest::Approx(expected[i]).epsilon(1e-6));
      }
    }
}

TEST_CASE("samples and channels are apart, also in channels-last memory") {
  const Tensor masks = (rand({2, 3, 6, 5, 7}, f64) > 0.1).to(f64);
  const Tensor all = distance_transform_edt(masks.channels_last());
  CHECK(all.is_channels_last());
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t c = 0; c < 3; ++c)
      CHECK(all[n][c].to_vector<double>() == nearest_zero(masks[n][c].reshape({1, 1, 6, 5, 7}), {1, 1, 1}));
}

TEST_CASE("where there is no zero the distance is infinite, where all is zero it is 0") {
  const Tensor d = distance_transform_edt(cat({ones({1, 1, 3, 4}), zeros({1, 1, 3, 4})}, 0));
  CHECK(d[0].to_vector<double>() == Values(12, kInfinity));
  CHECK(d[1].to_vector<double>() == Values(12, 0));
  CHECK(distance_transform_edt(empty({2, 0, 3})).numel() == 0);
  CHECK(distance_transform_edt(empty({2, 1, 0, 3})).numel() == 0);
}

TEST_CASE("every type counts what is not 0, and long lines stay exact") {
  const Tensor line = arange(5000).reshape({1, 1, 5000});
  const Tensor expected = line.to(f32);
  for (const DType dtype : {i64, i32, f32, bf16})
    CHECK(distance_transform_edt(line.to(dtype)).to_vector<float>() == expected.to_vector<float>());
  CHECK(distance_transform_edt(line.to(boolean)).to_vector<float>() == expected.to_vector<float>());
  const Tensor labels = line.to(f64) * 0.125 - 300.0;  // 0 at 2400 alone
  CHECK(distance_transform_edt(labels)[0][0][0].item<double>() == 2400);
  CHECK(distance_transform_edt(labels)[0][0][4999].item<double>() == 2599);
}

TEST_CASE("distance_transform_edt does not depend on the number of threads") {
  const Tensor mask = rand({1, 2, 40, 50, 60}) > 0.01;
  const auto with = [&](int count) {
    const Threads threads(count);
    return distance_transform_edt(mask).to_vector<float>();
  };
  CHECK(with(3) == with(1));
}

TEST_CASE("hausdorff_dt_loss by hand") {
  // Regions {1, 2} and {2}: distances to the other side 1 1 1 1 2 and 2 1 1 1 2.
  const Tensor p = line({0.25, 1, 0.75, 0, 0.5}).requires_grad_(), t = line({0, 0, 1, 0, 0});
  HausdorffDTLossOptions options{.alpha = 1, .include_background = true};
  // (0.0625 * 3 + 1 * 2 + 0.0625 * 2 + 0 + 0.25 * 4) / 5
  const Tensor loss = hausdorff_dt_loss(p, t, options);
  CHECK(loss.item<double>() == doctest::Approx((0.1875 + 2 + 0.125 + 1) / 5));
  loss.backward();
  const Values expected{2 * 0.25 * 3 / 5, 2 * 2.0 / 5, -2 * 0.25 * 2 / 5, 0, 2 * 0.5 * 4 / 5};
  const Values found = p.grad().to_vector<double>();
  for (std::size_t i = 0; i < 5; ++i) CHECK(found[i] == doctest::Approx(expected[i]));
  options.alpha = 2;
  CHECK(hausdorff_dt_loss(p, t, options).item<double>() ==
        doctest::Approx((0.0625 * 5 + 2 + 0.125 + 0.25 * 8) / 5));
  options.sampling = {0.5};  // a quarter of every squared distance
  CHECK(hausdorff_dt_loss(p, t, options).item<double>() ==
        doctest::Approx((0.0625 * 5 + 2 + 0.125 + 0.25 * 8) / 20));
}

TEST_CASE("boundary_loss by hand") {
  // The region {1, 2, 3}: 1 0 -1 0 1 2
  const Tensor p = line({0.5, 1, 1, 0.25, 0.5, 0.125}).requires_grad_(), t = line({0, 1, 1, 1, 0, 0});
  const Tensor loss = boundary_loss(p, t);
  CHECK(loss.item<double>() == doctest::Approx((0.5 + 0 - 1 + 0 + 0.5 + 0.25) / 6));
  loss.backward();
  const Values expected{1.0 / 6, 0, -1.0 / 6, 0, 1.0 / 6, 2.0 / 6}, found = p.grad().to_vector<double>();
  for (std::size_t i = 0; i < 6; ++i) CHECK(found[i] == doctest::Approx(expected[i]));
  CHECK(boundary_loss(p, t, {.sampling = {3}}).item<double>() == doctest::Approx(3 * 0.25 / 6));
}

TEST_CASE("losses of distance by class, sample and batch") {
  const Tensor x = randn({2, 3, 5, 6, 4}, f64), labels = randint(0, 3, {2, 5, 6, 4});
  const auto loss = [&](bool batch, Reduction reduction, bool background) {
    const HausdorffDTLossOptions options{
        .include_background = background, .softmax = true, .batch = batch, .reduction = reduction};
    return hausdorff_dt_loss(x, labels, options);
  };
  const Values each = loss(false, Reduction::none, true).to_vector<double>();
  CHECK(each.size() == 6);
  CHECK(loss(false, Reduction::none, false).to_vector<double>() ==
        Values{each[1], each[2], each[4], each[5]});
  const Values batched = loss(true, Reduction::none, true).to_vector<double>();
  for (std::size_t c = 0; c < 3; ++c) CHECK(batched[c] == doctest::Approx((each[c] + each[c + 3]) / 2));
  CHECK(loss(false, Reduction::mean, false).item<double>() ==
        doctest::Approx((each[1] + each[2] + each[4] + each[5]) / 4));
  CHECK(loss(true, Reduction::sum, true).item<double>() ==
        doctest::Approx(batched[0] + batched[1] + batched[2]));
}

TEST_CASE("a class without a border has no loss of distance") {
  const Tensor sure = zeros({1, 2, 4, 4}, f64), labels = zeros({1, 4, 4}, i64);
  sure.narrow(1, 0, 1).fill_(1);
  CHECK(hausdorff_dt_loss(sure, labels, {.include_background = true}).item<double>() == 0);
  CHECK(boundary_loss(rand({1, 2, 4, 4}), labels).item<double>() == 0);
  // Absent from the target but predicted: the distances from the prediction's border count.
  const Tensor p = zeros({1, 1, 5}, f64);
  p.mutable_data<double>()[2] = 1;
  CHECK(hausdorff_dt_loss(p, zeros({1, 1, 5}, f64), {.include_background = true}).item<double>() ==
        doctest::Approx(1.0 / 5));
}

TEST_CASE("ignored positions belong to no region and don't count in losses of distance") {
  // Position 5 is ignored; were b's .9 there in the region, position 4 would be nearer to it.
  const Tensor labels = Tensor::from({0, 1, 1, 0, 0, 255}, {1, 6}, i64);
  const Tensor a = Tensor::from({.9, .2, .1, .8, .7, .9, .1, .8, .9, .2, .3, .1}, {1, 2, 6}, f64);
  const Tensor b = Tensor::from({.9, .2, .1, .8, .7, .1, .1, .8, .9, .2, .3, .9}, {1, 2, 6}, f64);
  const HausdorffDTLossOptions options{.alpha = 1, .reduction = Reduction::none, .ignore_index = 255};
  const double expected = (0.01 * 2 + 0.04 * 2 + 0.01 * 2 + 0.04 * 2 + 0.09 * 4) / 5;
  CHECK(hausdorff_dt_loss(a, labels, options).item<double>() == doctest::Approx(expected));
  CHECK(hausdorff_dt_loss(b, labels, options).item<double>() == doctest::Approx(expected));
  const BoundaryLossOptions boundary{.include_background = false, .ignore_index = 255};
  CHECK(boundary_loss(a, labels, boundary).item<double>() == doctest::Approx((0.1 + 0.2 + 0.3 * 2) / 5));
  CHECK(boundary_loss(b, labels, boundary).item<double>() == doctest::Approx((0.1 + 0.2 + 0.3 * 2) / 5));
}
