// The table of ops: names, refusals and costs.

#include "ops/registry.hpp"

#include <doctest/doctest.h>

using namespace lucid;

TEST_CASE("an unknown op is refused with the names that are close") {
  CHECK_THROWS_WITH_AS(ops::find("conv_transpos3d"), doctest::Contains("did you mean conv_transpose"), Error);
  CHECK_THROWS_WITH_AS(ops::find("nothing_of_the_kind"), "ops: there is no op \"nothing_of_the_kind\"",
                       Error);
}

TEST_CASE("a record needs a name of its own and a call") {
  CHECK_THROWS_WITH_AS(ops::register_op({}), doctest::Contains("needs a name and a call"), Error);
  CHECK_THROWS_WITH_AS(ops::register_op(ops::find("relu")), doctest::Contains("\"relu\" is taken"), Error);
}

TEST_CASE("a call takes the inputs that the record names") {
  const Tensor x = ones({2});
  CHECK_THROWS_WITH_AS(ops::call("relu", {x, x}), doctest::Contains("2 inputs given, at most 1"), Error);
  CHECK_THROWS_WITH_AS(ops::call("add", {x}), doctest::Contains("input \"other\" is missing"), Error);
}

TEST_CASE("a call that computes costs flops, and never fewer bytes than its first input has") {
  Generator generator(1);
  int counted = 0;
  for (const ops::Op* op : ops::all()) {
    if (!op->cost) continue;
    for (ops::Sample sample : op->samples(generator)) {
      CAPTURE(op->name);
      sample.inputs.resize(std::max(sample.inputs.size(), op->inputs.size()));
      const ops::Cost cost = op->cost(sample.inputs, sample.options);
      CHECK(cost.flops >= 0);
      CHECK(cost.bytes >= static_cast<double>(sample.inputs[0].nbytes()));
      ++counted;
    }
  }
  CHECK(counted > 50);
}
