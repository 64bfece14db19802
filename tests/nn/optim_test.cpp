#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/optim/adam.hpp"
#include "nn/optim/adaptive.hpp"
#include "nn/optim/clip.hpp"
#include "nn/optim/make.hpp"
#include "nn/optim/sgd.hpp"

using namespace lucid;
using nlohmann::json;

namespace {

Tensor leaf(const Tensor& values) { return values.detach().requires_grad_(); }

// The gradient of 0.5 p'Ap - c'p.
void set_quadratic_gradient(const Tensor& p) {
  const double a[3][3] = {{2, 0.5, 0}, {0.5, 1, 0.25}, {0, 0.25, 3}}, c[3] = {1, -1, 0.5};
  const auto x = p.to_vector<double>();
  std::vector<double> grad(3);
  for (int i = 0; i < 3; ++i) grad[i] = a[i][0] * x[0] + a[i][1] * x[1] + a[i][2] * x[2] - c[i];
  p.set_grad(Tensor::from(grad, {3}).to(p.dtype()));
}

Tensor start(DType dtype = f64) { return leaf(Tensor::from({1, -2, 0.5}, {3}, dtype)); }

void take_steps(optim::Optimizer& optimizer, const Tensor& p, int steps) {
  for (int i = 0; i < steps; ++i) {
    set_quadratic_gradient(p);
    optimizer.step();
  }
}

struct Known {
  std::string name;
  json options;
  double after[3];  // six steps of PyTorch 1.13.1 in float64
};

const std::vector<Known> kKnown{
    {"SGD",
     {{"lr", 0.1}, {"momentum", 0.9}, {"dampening", 0.2}, {"weight_decay", 0.01}},
     {0.928609449299023, -1.51230039172431, 0.17871142929551}},
    {"SGD",
     {{"lr", 0.1}, {"momentum", 0.9}, {"nesterov", true}, {"maximize", true}},
     {0.594214811220073, -3.09078746390741, 4.98872866419284}},
    {"Adam",
     {{"lr", 0.05}, {"weight_decay", 0.1}, {"amsgrad", true}},
     {0.900267232789142, -1.70262693497983, 0.245466656263894}},
    {"AdamW",
     {{"lr", 0.05}, {"betas", {0.8, 0.9}}, {"weight_decay", 0.1}},
     {0.905706705216967, -1.65348738914434, 0.252237298701464}},
    {"RMSprop",
     {{"lr", 0.02}, {"centered", true}, {"momentum", 0.5}, {"alpha", 0.9}},
     {0.895951595797477, -1.59668332754536, 0.290136397618338}},
    {"RMSprop",
     {{"lr", 0.02}, {"centered", true}},
     {0.886079844088464, -1.54454010534797, 0.295918553426632}},
    {"Adagrad",
     {{"lr", 0.3}, {"lr_decay", 0.1}, {"initial_accumulator_value", 0.5}, {"weight_decay", 0.1}},
     {0.846266803632572, -1.49076219212121, 0.285475832437728}},
    {"Adadelta",
     {{"lr", 1.0}, {"rho", 0.8}, {"weight_decay", 0.1}},
     {0.986111635509723, -1.98529600289617, 0.485533116337978}},
    {"Adamax",
     {{"lr", 0.05}, {"weight_decay", 0.1}},
     {0.892230124494535, -1.71800993595755, 0.292263852278797}},
    {"NAdam",
     {{"lr", 0.05}, {"weight_decay", 0.1}, {"momentum_decay", 0.01}},
     // the product of momenta in float32, as PyTorch keeps it by default
     {0.9000050809297028, -1.7711625177444579, 0.32408752534937424}},
    {"RAdam",
     {{"lr", 0.3}, {"betas", {0.9, 0.5}}, {"weight_decay", 0.1}},
     {0.799752782212559, -1.2741930875201, 0.233896086835822}},
};

}  // namespace

TEST_CASE("six steps on a quadratic end where PyTorch's do") {
  for (const Known& known : kKnown) {
    CAPTURE(known.name);
    CAPTURE(known.options.dump());
    for (DType dtype : {f64, f32}) {
      const Tensor p = start(dtype);
      const auto optimizer = optim::make(known.name, std::vector<Tensor>{p}, known.options);
      take_steps(*optimizer, p, 6);
      const auto after = p.to_vector<double>();
      for (int i = 0; i < 3; ++i)
        CHECK(std::abs(after[i] - known.after[i]) <=
              (dtype == f64 ? 1e-13 : 2e-6) * std::abs(known.after[i]));
    }
  }
}

TEST_CASE("a run resumed from its state ends bitwise where the uninterrupted run does") {
  for (const Known& known : kKnown) {
    CAPTURE(known.name);
    const Tensor p = start(f32);
    const auto optimizer = optim::make(known.name, std::vector<Tensor>{p}, known.options);
    take_steps(*optimizer, p, 3);
    NamedTensors saved;
    for (const auto& [key, tensor] : optimizer->state_dict()) saved.add(key, tensor.clone());
    const Tensor q = leaf(p.clone());
    take_steps(*optimizer, p, 3);

    const auto resumed = optim::make(known.name, std::vector<Tensor>{q}, json::object());
    resumed->load_state_dict(saved);
    CHECK(resumed->lr() == optimizer->lr());
    take_steps(*resumed, q, 3);
    CHECK(q.to_vector<float>() == p.to_vector<float>());
  }
}

TEST_CASE("a state of another optimiser or other parameters is refused and changes nothing") {
  const Tensor p = start();
  optim::Adam adam({p}, {.lr = 0.25});
  take_steps(adam, p, 1);
  const auto refused = [&](const NamedTensors& state, const char* message) {
    CHECK_THROWS_WITH_AS(adam.load_state_dict(state), doctest::Contains(message), Error);
    CHECK(adam.lr() == 0.25);
    CHECK(adam.state(0).step == 1);
  };
  const auto changed = [&](const std::string& key, const Tensor& value) {
    NamedTensors out;
    for (const auto& [name, tensor] : adam.state_dict())
      if (name != key || value.defined()) out.add(name, name == key ? value : tensor);
    return out;
  };
  refused(changed("state.0.exp_avg", {}), "missing key state.0.exp_avg");
  refused(changed("state.0.exp_avg", zeros({4}, f64)),
          "state.0.exp_avg has shape (4), its parameter has (3)");
  refused(changed("state.0.step", scalar_tensor(-1, i64)), "step is -1");
  refused(changed("param_groups.0.lr", scalar_tensor(-1.0, f64)), "lr is -1");
  refused(changed("param_groups.0.betas", zeros({3}, f64)), "param_groups.0.betas is not a list of 2");
  NamedTensors more = adam.state_dict();
  more.add("state.1.step", scalar_tensor(1, i64));
  refused(more, "unexpected key state.1.step");
  optim::SGD sgd({p});
  CHECK_THROWS_WITH_AS(sgd.load_state_dict(adam.state_dict()),
                       doctest::Contains("missing key param_groups.0."), Error);
}

TEST_CASE("groups have options of their own") {
  const Tensor a = leaf(ones({1})), b = leaf(ones({1})), c = leaf(ones({1}));
  optim::SGD optimizer({{.params = {a}, .options = {.lr = 0.5}}, {.params = {b}, .options = {.lr = 0.25}}});
  optimizer.add_param_group({c}, {.lr = 0});
  for (const Tensor& p : {a, b, c}) p.set_grad(ones({1}));
  optimizer.step();
  CHECK(a.item<float>() == 0.5f);
  CHECK(b.item<float>() == 0.75f);
  CHECK(c.item<float>() == 1.0f);
  CHECK(optimizer.num_groups() == 3);
  optimizer.set_lr(1, 1);
  CHECK(optimizer.lr(1) == 1);
  CHECK(optimizer.lr(0) == 0.5);
  optimizer.zero_grad();
  CHECK_FALSE(b.grad().defined());
  optimizer.step();
  CHECK(a.item<float>() == 0.5f);
}

TEST_CASE("parameters and gradients may lie in memory as they like") {
  const Shape shape{2, 3, 1, 2, 2};
  const Tensor values = arange(24, f32).reshape(shape), gradient = arange(24, f32).reshape(shape) * 0.125;
  const Tensor plain = leaf(values.clone());
  plain.set_grad(gradient);
  optim::AdamW({plain}, {.lr = 0.1}).step();

  const Tensor last = leaf(values.channels_last());
  last.set_grad(gradient.contiguous());
  optim::AdamW({last}, {.lr = 0.1}).step();
  CHECK(last.to_vector<float>() == plain.to_vector<float>());

  // every second element of a larger block
  const Tensor block = zeros({48});
  const Tensor sparse = alias(block, {24}, {2}, 0);
  sparse.copy_(values.reshape({24}));
  const Tensor strided = leaf(sparse);
  strided.set_grad(gradient.reshape({24}));
  optim::AdamW({strided}, {.lr = 0.1}).step();
  CHECK(strided.to_vector<float>() == plain.to_vector<float>());
  CHECK(alias(block, {24}, {2}, 1).to_vector<float>() == std::vector<float>(24, 0));
}

TEST_CASE("bfloat16 parameters keep float32 states") {
  const Tensor p = leaf(ones({2}, bf16));
  optim::Adam optimizer({p}, {.lr = 0.5});
  p.set_grad(ones({2}, bf16));
  optimizer.step();
  CHECK(p.to_vector<float>() == std::vector<float>{0.5f, 0.5f});
  CHECK(optimizer.state(0).slots[0].dtype() == f32);
  CHECK(optimizer.state(0).slots[0].to_vector<float>()[0] == doctest::Approx(0.1f));
}

TEST_CASE("a step counts as a change in place and records nothing") {
  const Tensor p = leaf(ones({1}));
  const std::uint32_t before = p.version();
  p.set_grad(ones({1}));
  optim::SGD({p}, {.lr = 1}).step();
  CHECK(p.version() > before);
  CHECK(p.is_leaf());
  CHECK(p.requires_grad());
}

TEST_CASE("hyper-parameters out of range and unfit parameters are refused by name and value") {
  const auto refused = [](const char* name, const json& options, const char* message) {
    CAPTURE(name);
    CHECK_THROWS_WITH_AS(optim::make(name, std::vector<Tensor>{start()}, options), doctest::Contains(message),
                         Error);
  };
  refused("SGD", {{"lr", -0.1}}, "optim.SGD: lr is -0.1");
  refused("SGD", {{"lr", 0.1}, {"momentum", 0.9}, {"dampening", 0.1}, {"nesterov", true}},
          "optim.SGD: nesterov with momentum 0.9 and dampening 0.1");
  refused("Adam", {{"eps", -1.0}}, "optim.Adam: eps is -1");
  refused("Adam", {{"betas", {0.9, 1.0}}}, "optim.Adam: betas[1] is 1");
  refused("AdamW", {{"weight_decay", -1.0}}, "optim.AdamW: weight_decay is -1");
  refused("RMSprop", {{"alpha", -1.0}}, "optim.RMSprop: alpha is -1");
  refused("Adadelta", {{"rho", 1.5}}, "optim.Adadelta: rho is 1.5");
  refused("NAdam", {{"momentum_decay", -1}}, "optim.NAdam: momentum_decay is -1");
  refused("Adagrad", {{"lr_decay", -1}}, "optim.Adagrad: lr_decay is -1");
  refused("Adam", {{"learning_rate", 1}}, "learning_rate");
  refused("Adam", {{"lr", "fast"}}, "lr");
  refused("Adams", {}, "optim: \"Adams\" is not known; use one of Adadelta, Adagrad, Adam,");

  const Tensor p = start();
  CHECK_THROWS_WITH_AS(optim::SGD(std::vector<Tensor>{}), doctest::Contains("without parameters"), Error);
  CHECK_THROWS_WITH_AS(optim::SGD({p, p}), doctest::Contains("parameter 1 of shape (3) is given twice"),
                       Error);
  CHECK_THROWS_WITH_AS(optim::SGD({p * p}), doctest::Contains("recorded result"), Error);
  CHECK_THROWS_WITH_AS(optim::SGD({zeros({1}, i64)}), doctest::Contains("int64"), Error);
  CHECK_THROWS_WITH_AS(optim::SGD({Tensor()}), doctest::Contains("undefined"), Error);
}

TEST_CASE("clip_grad_norm_ scales all gradients as one vector") {
  const Tensor a = leaf(zeros({2})), b = leaf(zeros({1}, f64)), none = leaf(zeros({1}));
  const auto set = [&](double x) {
    a.set_grad(Tensor::from({3, 0}, {2}));
    b.set_grad(Tensor::from({x}, {1}, f64));
  };
  const std::vector<Tensor> all{a, b, none};
  set(-4);
  CHECK(optim::clip_grad_norm_(all, 1) == doctest::Approx(5));
  CHECK(a.grad().to_vector<float>()[0] == doctest::Approx(0.6).epsilon(1e-6));
  CHECK(b.grad().item<double>() == doctest::Approx(-4 / (5 + 1e-6)).epsilon(1e-12));
  set(-4);
  CHECK(optim::clip_grad_norm_(all, 100) == doctest::Approx(5));
  CHECK(b.grad().item<double>() == -4);
  CHECK(optim::clip_grad_norm_(all, 100, {.norm_type = INFINITY}) == 4);
  CHECK(optim::clip_grad_norm_(all, 100, {.norm_type = 1}) == doctest::Approx(7));
  CHECK(optim::clip_grad_norm_({none}, 1) == 0);
  set(NAN);
  CHECK_THROWS_WITH_AS(optim::clip_grad_norm_(all, 1, {.error_if_nonfinite = true}), doctest::Contains("nan"),
                       Error);
  CHECK(a.grad().to_vector<float>()[0] == 3);
  CHECK(std::isnan(optim::clip_grad_norm_(all, 1, {.norm_type = INFINITY})));
  CHECK_THROWS_WITH_AS(optim::clip_grad_norm_(all, -1), doctest::Contains("max_norm is -1"), Error);
}

TEST_CASE("clip_grad_value_ limits each element") {
  const Tensor a = leaf(zeros({4}));
  a.set_grad(Tensor::from({-3, -0.25, 0.5, NAN}, {4}));
  optim::clip_grad_value_({a}, 0.5);
  const auto grad = a.grad().to_vector<float>();
  CHECK(grad[0] == -0.5f);
  CHECK(grad[1] == -0.25f);
  CHECK(grad[2] == 0.5f);
  CHECK(std::isnan(grad[3]));
}

TEST_CASE("gradients that share elements are clipped once each") {
  const Tensor a = leaf(ones({2})), b = leaf(ones({2})), shared = full({2}, 4);
  a.set_grad(shared);
  b.set_grad(shared);
  optim::clip_grad_value_({a, b}, 1);
  const Tensor broad = leaf(ones({3}));
  broad.set_grad(alias(full({1}, 4), {3}, {0}, 0));
  CHECK(optim::clip_grad_norm_({broad}, 1, {.norm_type = 1}) == 12);
  CHECK(broad.grad().to_vector<float>()[2] == doctest::Approx(4.0 / 12).epsilon(1e-6));
  a.set_grad(shared.clone());
  b.set_grad(a.grad());
  optim::clip_grad_norm_({a, b}, 1, {.norm_type = 1});
  CHECK(a.grad().to_vector<float>()[0] == doctest::Approx(4.0 / 16).epsilon(1e-6));
}
