#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/observer.hpp"
#include "ops/activation.hpp"
#include "ops/arithmetic.hpp"
#include "ops/compare.hpp"
#include "ops/conv.hpp"
#include "ops/reduce.hpp"

using namespace lucid;
using autograd::ObserverGuard;
using autograd::OpOptions;

namespace {

struct Seen {
  std::string name;
  std::size_t inputs, results;
  nlohmann::json options;
};

struct Notes : autograd::Observer {
  void on_op(std::string_view name, std::span<const Tensor> inputs, std::span<const Tensor> results,
             const OpOptions& options) override {
    seen.push_back({std::string(name), inputs.size(), results.size(), options()});
    if (compute) (void)results[0].exp();
    if (fail) raise("observer", "has seen enough");
  }
  bool keep(std::span<const Tensor> saved) override {
    kept += saved.size();
    return keeps;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const Seen& s : seen) out.push_back(s.name);
    return out;
  }
  std::vector<Seen> seen;
  std::size_t kept = 0;
  bool compute = false, fail = false, keeps = true;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("an observer sees the ops of its scope in order, recorded or not, with their options") {
  const Tensor x = Tensor::from({-1, 2, 3, 4}, {2, 2});
  Notes notes;
  {
    const ObserverGuard guard(notes);
    const no_grad off;
    leaky_relu(x + x, 0.25).sum({1}, true);
  }
  (void)x.exp();
  CHECK(notes.names() == Names{"add", "leaky_relu", "sum"});
  CHECK(notes.seen[0].inputs == 2);
  CHECK(notes.seen[1].options["negative_slope"] == 0.25);
  CHECK(notes.seen[2].options == nlohmann::json{{"dim", {1}}, {"keepdim", true}, {"dtype", nullptr}});
  CHECK(notes.kept == 0);
}

TEST_CASE("an observer sees results without a gradient, and both results of max") {
  const Tensor x = Tensor::from({1, 5, 3, 4}, {2, 2});
  Notes notes;
  const ObserverGuard guard(notes);
  max(x, 1);
  (void)argmax(x, 1);
  (void)any(x > x);
  (void)logical_not(x);
  CHECK(notes.names() == Names{"max", "argmax", "gt", "any", "logical_not"});
  CHECK(notes.seen[0].results == 2);
  CHECK(notes.seen[1].options == nlohmann::json{{"dim", 1}, {"keepdim", false}});
}

TEST_CASE("the innermost observer sees, and what an observer computes is not seen") {
  const Tensor x = ones({2});
  Notes outer, inner;
  inner.compute = true;
  const ObserverGuard first(outer);
  {
    const ObserverGuard second(inner);
    (void)(x + x);
  }
  (void)(x * x);
  CHECK(inner.names() == Names{"add"});
  CHECK(outer.names() == Names{"mul"});
}

TEST_CASE("what an observer throws comes out of the op, and the observer stays") {
  const Tensor x = ones({2});
  Notes notes;
  notes.fail = true;
  const ObserverGuard guard(notes);
  CHECK_THROWS_WITH_AS((void)(x + x), doctest::Contains("has seen enough"), Error);
  CHECK_THROWS_AS((void)(x + x), Error);
  CHECK(notes.seen.size() == 2);
}

TEST_CASE("an observer that keeps nothing leaves results that look recorded and hold no memory") {
  const Tensor x = ones({2, 3}).requires_grad_();
  Notes notes;
  notes.keeps = false;
  Tensor y;
  {
    const ObserverGuard guard(notes);
    y = x * x;
    CHECK(notes.kept == 2);
    y.add_(x);  // refused on a leaf
    CHECK(y.requires_grad());
    CHECK_FALSE(y.is_leaf());
  }
  CHECK(x.handle().use_count() == 1);
  try {
    y.sum().backward();
    FAIL("a backward pass through it must throw");
  } catch (const AutogradError& error) {
    CHECK(std::string(error.what()).find("add.backward: the observer") == 0);
  }
}

TEST_CASE("a convolution is one op, however it is computed") {
  for (const std::int64_t batch :
       {1, 8, 9, 40})  // of single voxels, which few and many samples compute differently
    for (const std::int64_t size : {2, 5}) {
      const Tensor x = ones({batch, 4, size, size, size}), weight = ones({6, 4, 2, 2, 2});
      Notes notes;
      {
        const ObserverGuard guard(notes);
        conv3d(x, weight);
      }
      CHECK(notes.names() == Names{"conv3d"});
    }
}
