#include "ops/kernels/transpose.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "ops/kernels/elementwise.hpp"

using namespace lucid;

namespace {

// 0, 1, 2, ... in logical order, in the type's own range.
Tensor counting(const Shape& shape, DType dtype) {
  const Tensor out = empty(shape, dtype);
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* data = out.mutable_data<T>();
    for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<T>(static_cast<float>(i % 113));
  });
  return out;
}

}  // namespace

TEST_CASE("copies between row-major and channels-last move every element of every type") {
  for (const Shape& shape : {Shape{1, 32, 5, 7, 9}, Shape{2, 8, 4, 4, 4}, Shape{3, 33, 1, 2, 41},
                             Shape{2, 4, 70}, Shape{1, 5, 3, 3, 3}, Shape{2, 2, 3, 37}, Shape{1, 3, 5, 7, 9},
                             Shape{1, 7, 13}, Shape{2, 3, 65, 2}, Shape{1, 100, 8, 8}})
    for (const DType dtype : {f32, f64, bf16, i64, i32, u8, boolean}) {
      CAPTURE(shape.str());
      CAPTURE(name(dtype));
      const Tensor plain = counting(shape, dtype);
      const Tensor last = empty_strided(shape, channels_last_strides(shape), dtype);
      kernels::copy(last, plain);
      CHECK(last.to_vector<double>() == plain.to_vector<double>());
      const Tensor back = empty(shape, dtype);
      kernels::copy(back, last);
      CHECK(back.to_vector<double>() == plain.to_vector<double>());
    }
}

TEST_CASE("tiles are taken for crossing layouts only") {
  const Tensor plain = counting({2, 16, 20}, f32);
  const Tensor last = empty_strided({2, 16, 20}, channels_last_strides({2, 16, 20}), f32);
  CHECK(kernels::copy_transposed(last, plain));
  CHECK_FALSE(kernels::copy_transposed(empty({2, 16, 20}), plain));
  CHECK_FALSE(kernels::copy_transposed(empty_like(last, f64), plain));
  CHECK_FALSE(kernels::copy_transposed(empty({0, 16, 20}), plain.narrow(0, 0, 0)));
}

TEST_CASE("a slice is copied across without touching its surroundings") {
  const Tensor target = zeros({40, 40});
  const Tensor source = counting({32, 24}, f32);
  kernels::copy(target.narrow(0, 4, 24).narrow(1, 8, 32), source.transpose(0, 1));
  const auto values = target.to_vector<float>(), given = source.to_vector<float>();
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t j = 0; j < 40; ++j) {
      const bool inside = i >= 4 && i < 28 && j >= 8;
      REQUIRE(values[i * 40 + j] == (inside ? given[(j - 8) * 24 + i - 4] : 0.0f));
    }
}
