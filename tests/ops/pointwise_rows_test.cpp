// Operands of few channels beside those that have one value for all channels, for all voxels, or lie in
// another layout: the same as for operands that are written out.
#include <doctest/doctest.h>

#include <vector>

#include "lucid/random.hpp"
#include "ops/arithmetic.hpp"
#include "ops/cast.hpp"
#include "ops/compare.hpp"
#include "ops/in_place.hpp"
#include "ops/select.hpp"
#include "ops/unary.hpp"

using namespace lucid;

namespace {

// `tensor` without anything to broadcast, row by row.
Tensor written_out(const Tensor& tensor, const Shape& shape) { return tensor.expand(shape).contiguous(); }

std::vector<double> values_of(const Tensor& tensor) { return tensor.to_vector<double>(); }

}  // namespace

TEST_CASE("operands that broadcast are as if they were written out, in both layouts") {
  Generator generator(11);
  for (const DType dtype : {f32, f64, bf16})
    for (const std::int64_t channels : {1, 2, 3, 4, 5, 8, 16, 31, 32, 40, 95, 96, 256, 300}) {
      CAPTURE(dtype);
      CAPTURE(channels);
      // Of few channels more voxels than a row takes at once.
      const std::int64_t width = channels < 8 ? 61 : 23;
      const Shape shape{2, channels, 3, 7, width};
      const auto numbers = [&](const Shape& of) { return randint(-8, 9, of, f64, &generator).to(dtype); };
      const Tensor plain = numbers(shape);
      const Shape kinds[] = {{2, 1, 3, 7, width},
                             {channels, 1, 1, 1},
                             {2, channels, 1, 1, 1},
                             {1},
                             {width},
                             {3, 1, 1},
                             {2, 1, 1, 7, width},
                             shape};
      for (const Shape& kind : kinds) {
        CAPTURE(kind);
        const Tensor other = numbers(kind), whole = written_out(other, shape);
        const Tensor mask = other > 0.0, whole_mask = whole > 0.0;
        for (const Tensor& x : {plain.channels_last(), plain}) {
          CHECK(values_of(x * other) == values_of(plain * whole));
          CHECK(values_of(other - x) == values_of(whole - plain));
          CHECK(values_of(maximum(other, x)) == values_of(maximum(whole, plain)));
          CHECK(values_of(where(mask, x, other)) == values_of(where(whole_mask, plain, whole)));
          CHECK(values_of(where(mask, other, x)) == values_of(where(whole_mask, whole, plain)));
          CHECK(values_of(where(x > 0.0, other, x)) == values_of(where(plain > 0.0, whole, plain)));
          CHECK(values_of(where(mask, 2.0, x)) == values_of(where(whole_mask, 2.0, plain)));
          CHECK(values_of(masked_fill(x, mask, 3.0)) == values_of(masked_fill(plain, whole_mask, 3.0)));
          const Tensor changed = x.clone();
          changed.mul_(other);
          CHECK(values_of(changed) == values_of(plain * whole));
        }
      }
    }
}

TEST_CASE("a row that is repeated serves runs of any length") {
  // 512 voxels are a thread's share: the second share begins with the last three voxels of the first sample.
  Generator generator(12);
  const Shape shape{3, 64, 1, 5, 103};
  const Tensor x = randn(shape, f32, &generator), slopes = randn({64, 1, 1, 1}, f32, &generator);
  const Tensor mask = x > 0.5;
  CHECK(values_of(where(mask, x.channels_last(), slopes)) ==
        values_of(where(mask, x, written_out(slopes, shape))));
}

TEST_CASE("results of slices of channels-last tensors are channels-last, beside a gate too") {
  Generator generator(12);
  const Tensor x = randn({2, 8, 3, 4, 5}, f32, &generator).channels_last(), some = x.slice(1, 0, 3),
               others = x.slice(1, 3, 6), gate = randn({2, 1, 3, 4, 5}, f32, &generator);
  const auto check = [](const Tensor& found, const Tensor& written) {
    CHECK(found.is_channels_last());
    CHECK(values_of(found) == values_of(written));
  };
  check(some + others, some.contiguous() + others.contiguous());
  check(gate * some, gate * some.contiguous());
  check(gate.expand(some.shape()) * some, gate * some.contiguous());
  check(where(some > 0.0, some, others),
        where(some.contiguous() > 0.0, some.contiguous(), others.contiguous()));
  check(exp(some), exp(some.contiguous()));
  check(some.clone(), some.contiguous());
  CHECK((some + others.contiguous()).is_contiguous());  // a dense operand decides
}
