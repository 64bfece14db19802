// Matrix products against sums written out.

#include "ops/matmul.hpp"

#include "lucid/allocator.hpp"
#include "ops/kernels/gemm.hpp"
#include "ops/view.hpp"
#include "tests/ops/shape_test_support.hpp"

using namespace lucid;
using namespace shape_tests;

namespace {

// Whole numbers in [-4, 4]: products and sums of them are exact in every floating type but bfloat16.
Tensor whole(const Shape& shape, DType dtype, Generator& generator) {
  return randint(-4, 5, shape, i64, &generator).to(dtype);
}

// (n, k) @ (k, m), one sum after the other.
Values written_out(const Tensor& a, const Tensor& b) {
  const std::int64_t n = a.size(0), k = a.size(1), m = b.size(1);
  const Values left = values(a), right = values(b);
  Values out;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < m; ++j) {
      double sum = 0;
      for (std::int64_t p = 0; p < k; ++p)
        sum += left[static_cast<std::size_t>(i * k + p)] * right[static_cast<std::size_t>(p * m + j)];
      out.push_back(sum);
    }
  return out;
}

}  // namespace

TEST_CASE("records of matrix products: gradients and refusals") {
  for (const char* name : {"matmul", "mm", "bmm", "addmm", "linear"}) check_record(name);
}

TEST_CASE("products of whole numbers are exact for sizes around every block edge") {
  Generator generator(3);
  for (const DType dtype : {f32, f64})
    for (const Shape& size : {Shape{1, 1, 1}, Shape{1, 300, 7}, Shape{7, 300, 1}, Shape{6, 256, 8},
                              Shape{5, 257, 9}, Shape{97, 31, 33}, Shape{193, 260, 17}, Shape{3, 5, 1030}}) {
      CAPTURE(size.str());
      const Tensor a = whole({size[0], size[1]}, dtype, generator);
      const Tensor b = whole({size[1], size[2]}, dtype, generator);
      const Values expected = written_out(a, b);
      CHECK(values(mm(a, b)) == expected);
      const Tensor at = a.transpose(0, 1).contiguous().transpose(0, 1);
      const Tensor bt = b.transpose(0, 1).contiguous().transpose(0, 1);
      CHECK(values(mm(at, b)) == expected);
      CHECK(values(mm(a, bt)) == expected);
      CHECK(values(mm(at, bt)) == expected);
    }
}

TEST_CASE("gemm scales, adds to what is there, and does not read it when beta is 0") {
  Generator generator(4);
  for (const std::int64_t k : {3, 40}) {
    const Tensor a = whole({20, k}, f64, generator), b = whole({k, 30}, f64, generator);
    const Values product = written_out(a, b);
    Tensor c = full({20, 30}, std::numeric_limits<double>::quiet_NaN(), f64);
    const auto run = [&](double alpha, double beta) {
      kernels::gemm<double>(false, false, 20, 30, k, alpha, a.data<double>(), k, b.data<double>(), 30, beta,
                            c.mutable_data<double>(), 30);
    };
    run(1, 0);
    CHECK(values(c) == product);
    run(2, 3);
    Values expected = product;
    for (double& value : expected) value *= 5;
    CHECK(values(c) == expected);
  }
}

TEST_CASE("strided operands give what contiguous ones give") {
  Generator generator(5);
  for (const DType dtype : {f32, f64, bf16}) {
    const Tensor wide = whole({4, 9, 14}, dtype, generator);
    const Tensor part = wide.slice(1, 1, 9, 2).slice(2, 0, 14, 2);  // (4, 4, 7), no unit stride
    const Tensor other = whole({7, 5}, dtype, generator);
    CHECK(values(matmul(part, other)) == values(matmul(part.contiguous(), other)));
    const Tensor one = whole({1, 3, 7}, dtype, generator).expand({4, 3, 7});
    CHECK(values(matmul(part, one.transpose(1, 2))) ==
          values(matmul(part.contiguous(), one.contiguous().transpose(1, 2).contiguous())));
    const Tensor rows = wide.slice(2, 3, 10);  // rows of 7 in rows of 14
    CHECK(values(matmul(rows, other)) == values(matmul(rows.contiguous(), other)));
  }
}

TEST_CASE("batches broadcast") {
  const Tensor a = counting({2, 1, 1, 2}), b = counting({3, 2, 1});
  const Tensor y = matmul(a, b);
  CHECK(y.shape() == Shape{2, 3, 1, 1});
  CHECK(values(y) == Values{1, 3, 5, 3, 13, 23});
}

TEST_CASE("empty matrices") {
  CHECK(values(matmul(ones({2, 0}), ones({0, 2}))) == Values{0, 0, 0, 0});
  CHECK(matmul(ones({0, 3}), ones({3, 2})).shape() == Shape{0, 2});
  CHECK(matmul(ones({5, 0, 3}), ones({3, 2})).shape() == Shape{5, 0, 2});
  CHECK(values(linear(ones({2, 0}), ones({2, 0}), Tensor::from({1, 2}, {2}))) == Values{1, 2, 1, 2});
  const Tensor x = ones({5, 0, 3}), w = ones({3, 2});
  w.requires_grad_();
  matmul(x, w).sum().backward();
  CHECK(values(w.grad()) == Values(6, 0.0));
}

TEST_CASE("linear adds its bias to every row") {
  const Tensor x = Tensor::from({1, 2, 3, 4}, {2, 2}), w = Tensor::from({1, 0, 0, 1, 1, 1}, {3, 2});
  CHECK(values(linear(x, w, Tensor::from({10, 20, 30}, {3}))) == Values{11, 22, 33, 13, 24, 37});
  CHECK(linear(ones({2}), w).shape() == Shape{3});
  CHECK(contains(message_of([&] { linear(x, w, ones({2})); }), "linear: bias has shape (2)"));
}

TEST_CASE("a bfloat16 product is rounded once") {
  const Tensor a = full({3, 500}, 1.0, bf16), b = full({500, 2}, 1.0, bf16);
  CHECK(matmul(a, b).dtype() == bf16);
  CHECK(values(matmul(a, b)) == Values(6, 500.0));
}

TEST_CASE("products of different types are refused") {
  CHECK(contains(message_of([] { matmul(ones({2, 2}), ones({2, 2}, f64)); }), "float32 and float64"));
  CHECK(contains(message_of([] { matmul(ones({2, 2}, i64), ones({2, 2}, i64)); }), "int64"));
}

TEST_CASE("rows of b that collide in the cache are multiplied as others are, in bounded memory") {
  Generator generator(12);
  for (const bool transposed : {false, true}) {
    // In several blocks of rows, whose sums go on.
    const Tensor a = randint(-3, 4, {70, 3000}, f32, &generator),
                 b = randint(-3, 4, {3000, 512}, f32, &generator);
    const Tensor left = transposed ? a.transpose(0, 1).contiguous().transpose(0, 1) : a;
    reset_peak_memory();
    const std::int64_t before = memory_stats().current_bytes;
    const Tensor c = matmul(left, b);
    CHECK(memory_stats().peak_bytes - before < std::int64_t{6} << 20);
    CHECK(c.to_vector<double>() == matmul(a.to(f64), b.to(f64)).to_vector<double>());
    const Tensor sum = addmm(ones({70, 512}), left, b, 2.0, 1.0);
    CHECK(sum.to_vector<double>() == (matmul(a.to(f64), b.to(f64)) + 2.0).to_vector<double>());
  }
}
