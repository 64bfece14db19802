#include "nn/module.hpp"

#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "lucid/safetensors.hpp"

using namespace lucid;

namespace {

struct Scale : nn::Module {
  nn::Parameter weight, bias;
  nn::Buffer seen;
  explicit Scale(std::int64_t n = 2, bool with_bias = true)
      : weight(ones({n})), bias(with_bias ? zeros({n}) : Tensor()), seen(zeros({}, i64)) {}
  LUCID_FIELDS(weight, bias, seen)
  std::string extra_repr() const override { return lucid::str(weight.numel()); }
  Tensor operator()(const Tensor& x) const {
    const ErrorScope scope(path());
    return x * weight;
  }
};

struct Level : nn::Module {
  Scale up{3};
  std::optional<Scale> norm;
  LUCID_FIELDS(up, norm)
};

struct Net : nn::Module {
  Scale stem;
  std::vector<Level> decoder = std::vector<Level>(3);
  std::array<nn::Parameter, 2> gains{nn::Parameter(ones({1})), nn::Parameter(ones({1}))};
  std::unique_ptr<Scale> head = std::make_unique<Scale>(4, false);
  LUCID_FIELDS(stem, decoder, gains, head)
};

struct Forgetful : nn::Module {
  Scale listed;
  Scale forgotten;
  nn::Parameter also;
  LUCID_FIELDS(listed)
};

struct Base : nn::Module {
  Scale first{1};
  LUCID_FIELDS(first)
};
struct Derived : Base {
  Scale second{1};
  LUCID_MORE_FIELDS(Base, second)
};

std::vector<std::string> names(const std::vector<std::pair<std::string, Tensor>>& named) {
  std::vector<std::string> out;
  for (const auto& entry : named) out.push_back(entry.first);
  return out;
}

}  // namespace

TEST_CASE("names follow the fields through lists, optionals and pointers") {
  Net net;
  net.decoder[1].norm.emplace(5);
  CHECK(names(net.named_parameters()) ==
        std::vector<std::string>{"stem.weight", "stem.bias", "decoder.0.up.weight", "decoder.0.up.bias",
                                 "decoder.1.up.weight", "decoder.1.up.bias", "decoder.1.norm.weight",
                                 "decoder.1.norm.bias", "decoder.2.up.weight", "decoder.2.up.bias", "gains.0",
                                 "gains.1", "head.weight"});
  CHECK(names(net.named_buffers()).back() == "head.seen");
  CHECK(net.num_parameters() == 4 + 6 + 6 + 10 + 6 + 2 + 4);
  CHECK(names(Derived().named_parameters()) ==
        std::vector<std::string>{"first.weight", "first.bias", "second.weight", "second.bias"});
  net.head.reset();
  CHECK(names(net.named_parameters()).back() == "gains.1");
}

TEST_CASE("a parameter that two fields share is listed once and saved under both names") {
  Derived net;
  net.second.weight = net.first.weight;
  CHECK(net.parameters().size() == 3);
  CHECK(net.state_dict().contains("first.weight"));
  CHECK(net.state_dict().contains("second.weight"));
}

TEST_CASE("fields that LUCID_FIELDS leaves out are found") {
  CHECK(nn::forgotten_fields([] { return Net(); }) == "");
  CHECK(nn::forgotten_fields([] { return Derived(); }) == "");
  CHECK(nn::forgotten_fields([] { return Forgetful(); }) ==
        "Forgetful: the LUCID_FIELDS lines leave out 3 parameters, 1 buffers and 1 modules");
}

TEST_CASE("a copy shares its parameters, a clone does not") {
  Base net;
  const Base copy = net;
  const Base own = nn::clone(net);
  net.first.weight.detach().fill_(7);
  CHECK(copy.first.weight.item<float>() == 7);
  CHECK(own.first.weight.item<float>() == 1);
  CHECK(own.first.weight.requires_grad());
  CHECK(own.first.weight.is_leaf());
  Derived tied;
  tied.second.weight = tied.first.weight;
  const Derived both = nn::clone(tied);
  CHECK(both.second.weight.is_same(both.first.weight));
  CHECK_FALSE(both.second.weight.is_same(tied.first.weight));
}

TEST_CASE("a parameter is a leaf of its own over the given elements") {
  const Tensor x = ones({2});
  const nn::Parameter p = x;
  CHECK(p.requires_grad());
  CHECK_FALSE(x.requires_grad());
  x.fill_(3);
  CHECK(p.to_vector<float>() == std::vector<float>{3, 3});
}

TEST_CASE("train and eval reach the whole tree") {
  Net net;
  CHECK(net.training());
  net.eval();
  CHECK_FALSE(net.decoder[2].up.training());
  net.train();
  CHECK(net.head->training());
}

TEST_CASE("errors of a layer name its path, once the tree has been walked") {
  Net net;
  const Tensor x = ones({2});
  CHECK_THROWS_WITH_AS(net.decoder[2].up(x), doctest::Contains("mul: "), Error);
  net.parameters();
  CHECK(net.decoder[2].up.path() == "decoder.2.up");
  CHECK_THROWS_WITH_AS(net.decoder[2].up(x), doctest::Contains("mul (decoder.2.up): "), Error);
  net.decoder[2].parameters();
  CHECK(net.decoder[2].up.path() == "decoder.2.up");
}

TEST_CASE("gradients are cleared and switched for all parameters") {
  Base net;
  net.first.weight.set_grad(ones({1}));
  net.zero_grad();
  CHECK_FALSE(net.first.weight.grad().defined());
  net.requires_grad_(false);
  CHECK_FALSE(net.first.bias.requires_grad());
}

TEST_CASE("to() changes floating types in place, gradients too, and leaves integers") {
  Base net;
  const Tensor held = net.parameters()[0];
  held.set_grad(ones({1}));
  net.to(f64);
  CHECK(held.dtype() == f64);
  CHECK(held.grad().dtype() == f64);
  CHECK(held.item<double>() == 1);
  CHECK(net.first.seen.dtype() == i64);
  (held * held).backward();
  CHECK(held.grad().item<double>() == 3);
  CHECK_THROWS_WITH_AS(net.to(i64), doctest::Contains("int64"), Error);
}

TEST_CASE("a state dict goes through a file and back") {
  Net net;
  net.decoder[1].up.weight.detach().fill_(0.25);
  net.stem.seen.fill_(9);
  const std::string path = (std::filesystem::temp_directory_path() / "lucid_module_state").string();
  net.save(path);
  Net other;
  other.load(path);
  CHECK(other.decoder[1].up.weight.to_vector<float>() == std::vector<float>{0.25, 0.25, 0.25});
  CHECK(other.stem.seen.item<std::int64_t>() == 9);
  CHECK(other.stem.seen.dtype() == i64);
  std::filesystem::remove(path);

  const NamedTensors state = net.state_dict();
  CHECK_FALSE(state.at("stem.weight").requires_grad());
  other.to(f64);
  other.load_state_dict(state);
  CHECK(other.decoder[1].up.weight.to_vector<double>() == std::vector<double>{0.25, 0.25, 0.25});
}

TEST_CASE("a state that does not fit changes nothing and is described") {
  Base net;
  const auto load = [&](const NamedTensors& state, bool strict = true) {
    return net.load_state_dict(state, strict);
  };
  CHECK_THROWS_WITH_AS(
      load({{"first.weight", full({1}, 5)}, {"first.seen", zeros({}, i64)}, {"last.bias", zeros({1})}}),
      "load_state_dict: the state is not one of Base: missing keys: first.bias; unexpected keys: last.bias",
      Error);
  CHECK_THROWS_WITH_AS(
      load({{"first.weight", full({1}, 5)}, {"first.bias", zeros({2})}, {"first.seen", zeros({})}}),
      "load_state_dict: the state is not one of Base: what does not fit: first.bias has shape (2) where (1), "
      "first.seen has type float32 where int64 is required",
      Error);
  CHECK(net.first.weight.item<float>() == 1);

  const nn::StateDifference difference = load({{"first.weight", full({1}, 5)}, {"x", zeros({1})}}, false);
  CHECK(difference.missing == std::vector<std::string>{"first.bias", "first.seen"});
  CHECK(difference.unexpected == std::vector<std::string>{"x"});
  CHECK(net.first.weight.item<float>() == 5);
  CHECK_THROWS_AS(load({{"first.weight", zeros({3})}}, false), Error);
}

TEST_CASE("a module prints as a tree") {
  Net net;
  net.decoder.resize(1);
  CHECK(net.str() ==
        "Net(\n"
        "  (stem): Scale(2)\n"
        "  (decoder): ModuleList(\n"
        "    (0): Level(\n"
        "      (up): Scale(3)\n"
        "    )\n"
        "  )\n"
        "  (head): Scale(4)\n"
        ")");
  CHECK(nn::Module().str() == "Module()");
}

TEST_CASE("every module of the tree is reached by path") {
  Net net;
  std::vector<std::string> paths;
  net.for_each_module([&](const std::string& path, nn::Module&) { paths.push_back(path); });
  CHECK(paths == std::vector<std::string>{"", "stem", "decoder.0", "decoder.0.up", "decoder.1",
                                          "decoder.1.up", "decoder.2", "decoder.2.up", "head"});
}
