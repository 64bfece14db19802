// Cosine similarity and its loss: by hand, and at vectors of length 0, tiny and huge.
#include <doctest/doctest.h>

#include <cmath>

#include "lucid/random.hpp"
#include "ops/loss.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;

const Tensor kA = Tensor::from({1, 2, 2, 3, 0, 4}, {2, 3}, f64);
const Tensor kB =
    Tensor::from({2, -1, 2, 0, 1, 1}, {2, 3}, f64);  // products 4 and 4; norms 3, 3 and 5, sqrt(2)

}  // namespace

TEST_CASE("cosine_similarity by hand, along either axis and broadcast") {
  const Values rows = cosine_similarity(kA, kB).to_vector<double>();
  CHECK(rows[0] == doctest::Approx(4.0 / 9));
  CHECK(rows[1] == doctest::Approx(4 / (5 * std::sqrt(2.0))));
  const Values columns = cosine_similarity(kA, kB, {.dim = 0}).to_vector<double>();
  CHECK(columns.size() == 3);
  CHECK(columns[0] == doctest::Approx(2 / (std::sqrt(10.0) * 2)));
  CHECK(columns[1] == doctest::Approx(-2 / (2 * std::sqrt(2.0))));
  CHECK(cosine_similarity(kA, kB[0]).to_vector<double>()[1] == doctest::Approx(14.0 / 15));
  CHECK(cosine_similarity(kA[0], kB[0], {.dim = -1}).shape() == Shape{});
}

TEST_CASE("cosine_similarity of vectors without length is 0, and its gradient finite") {
  const Tensor x = zeros({1, 2}, f64).requires_grad_(), y = Tensor::from({3, 4}, {1, 2}, f64);
  const Tensor s = cosine_similarity(x, y, {.eps = 0.5});
  CHECK(s.item<double>() == 0);
  s.backward();  // as if x had the length eps: y / |y| / eps
  CHECK(x.grad().to_vector<double>()[0] == doctest::Approx(1.2));
  CHECK(x.grad().to_vector<double>()[1] == doctest::Approx(1.6));
  CHECK(cosine_similarity(zeros({1, 2}), zeros({1, 2})).item<double>() == 0);
  const Tensor tiny = Tensor::from({1e-10, 0}, {1, 2}, f64);  // both are divided by 1e-8
  CHECK(cosine_similarity(tiny, tiny).item<double>() == doctest::Approx(1e-4));
  CHECK(cosine_similarity(full({1, 2}, 1e30), full({1, 2}, 1e30)).item<double>() == doctest::Approx(1));
}

TEST_CASE("cosine_embedding_loss by hand") {
  const Tensor y = Tensor::from({1, -1}, {2}, i64);
  const double alike = 1 - 4.0 / 9, other = 4 / (5 * std::sqrt(2.0));
  const auto losses = [&](double margin) {
    return cosine_embedding_loss(kA, kB, y, {.margin = margin, .reduction = Reduction::none})
        .to_vector<double>();
  };
  CHECK(losses(0)[0] == doctest::Approx(alike));
  CHECK(losses(0)[1] == doctest::Approx(other));
  CHECK(losses(-0.5)[1] == doctest::Approx(other + 0.5));
  CHECK(losses(0.6)[1] == 0);  // cos is 0.57
  CHECK(cosine_embedding_loss(kA, kB, y.to(f64)).item<double>() == doctest::Approx((alike + other) / 2));
  CHECK(cosine_embedding_loss(kA[0], kB[0], scalar_tensor(1, i64)).item<double>() == doctest::Approx(alike));
  CHECK(cosine_embedding_loss(empty({0, 3}), empty({0, 3}), empty({0}, i64)).item<double>() == 0);
}

TEST_CASE("cosine_embedding_loss is finite where PyTorch's is NaN or vectors are 0") {
  for (const double size : {0.0, 1e-30, 1e4, 1e30}) {
    const Tensor x = full({2, 3}, size).requires_grad_();
    const Tensor loss = cosine_embedding_loss(x, full({2, 3}, size), Tensor::from({1, -1}, {2}, i64));
    CHECK(std::isfinite(loss.item<double>()));
    loss.backward();
    for (const double g : x.grad().to_vector<double>()) CHECK(std::isfinite(g));
  }
}
