// MultiheadAttention against PyTorch 1.13's numbers (torch.nn.MultiheadAttention in float64) for parameters
// and inputs made by a formula; its keys, initial values, masks and refusals.
#include "nn/attention.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "lucid/allocator.hpp"
#include "lucid/random.hpp"
#include "nn/optim/sgd.hpp"
#include "ops/loss.hpp"
#include "ops/matmul.hpp"
#include "ops/reduce.hpp"
#include "ops/select.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;
using Options = nn::MultiheadAttentionOptions;

constexpr std::int64_t kEmbed = 4, kHeads = 2, kBatch = 2, kQueries = 3, kKeys = 5;

// Element i is ((7 i + 37 + 13 tag) i + 101 tag) mod 97, less 48, over 64.
Tensor formula(const Shape& shape, std::int64_t tag) {
  Values out(static_cast<std::size_t>(checked_numel("formula", shape)));
  for (std::size_t n = 0; n < out.size(); ++n) {
    const auto i = static_cast<std::int64_t>(n);
    out[n] = static_cast<double>(((7 * i + 37 + 13 * tag) * i + 101 * tag) % 97 - 48) / 64;
  }
  return Tensor::from(out, shape);
}

// True where (5 i + tag) is a multiple of `every`.
Tensor every_nth(const Shape& shape, std::int64_t tag, std::int64_t every) {
  Values out(static_cast<std::size_t>(checked_numel("every_nth", shape)));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = (5 * static_cast<std::int64_t>(i) + tag) % every == 0 ? 1 : 0;
  return Tensor::from(out, shape).to(boolean);
}

Tensor later_keys() { return arange(kKeys).unsqueeze(0) > arange(kQueries).unsqueeze(1); }

double probe(const Tensor& tensor, std::int64_t tag) {
  return (tensor.detach() * formula(tensor.shape(), tag)).sum().item<double>();
}

// A layer whose parameters, under PyTorch's keys, are the formula's.
nn::MultiheadAttention made_by_formula(const Options& options) {
  static const std::map<std::string, std::int64_t> tags{
      {"in_proj_weight", 1}, {"q_proj_weight", 2},   {"k_proj_weight", 3},
      {"v_proj_weight", 4},  {"in_proj_bias", 5},    {"bias_k", 6},
      {"bias_v", 7},         {"out_proj.weight", 8}, {"out_proj.bias", 9}};
  nn::MultiheadAttention layer(kEmbed, kHeads, options);
  layer.to(f64);
  NamedTensors state;
  const std::int64_t kdim = options.kdim.value_or(kEmbed), vdim = options.vdim.value_or(kEmbed);
  const auto put = [&](const char* key, const Shape& shape) { state.add(key, formula(shape, tags.at(key))); };
  if (options.kdim || options.vdim) {
    put("q_proj_weight", {kEmbed, kEmbed});
    put("k_proj_weight", {kEmbed, kdim});
    put("v_proj_weight", {kEmbed, vdim});
  } else {
    put("in_proj_weight", {3 * kEmbed, kEmbed});
  }
  put("out_proj.weight", {kEmbed, kEmbed});
  if (options.bias) put("in_proj_bias", {3 * kEmbed}), put("out_proj.bias", {kEmbed});
  if (options.add_bias_kv) put("bias_k", {1, 1, kEmbed}), put("bias_v", {1, 1, kEmbed});
  layer.load_state_dict(state);
  return layer;
}

Tensors inputs_for(const Options& options, bool batched, DType dtype = f64) {
  const auto input = [&](std::int64_t length, std::int64_t features, std::int64_t tag) {
    const Shape shape = !batched              ? Shape{length, features}
                        : options.batch_first ? Shape{kBatch, length, features}
                                              : Shape{length, kBatch, features};
    return formula(shape, tag).to(dtype).requires_grad_();
  };
  return {input(kQueries, kEmbed, 11), input(kKeys, options.kdim.value_or(kEmbed), 12),
          input(kKeys, options.vdim.value_or(kEmbed), 13)};
}

// Probes of output (tags 21, 22), weights (23, 24), and (25) the gradients of query, key, value and, by name,
// of the parameters, for the sum of output and weights times the formula of tags 16 and 17.
void check_layer(const Options& options, bool batched, const nn::MultiheadAttentionCall& call,
                 const Values& expected) {
  const nn::MultiheadAttention layer = made_by_formula(options);
  const Tensors in = inputs_for(options, batched);
  const auto [output, weights] = layer(in[0], in[1], in[2], call);
  CHECK(output.shape() == in[0].shape());
  CHECK(weights.defined() == call.need_weights);
  Values found{probe(output, 21), probe(output, 22)};
  Tensor total = (output * formula(output.shape(), 16)).sum();
  if (call.need_weights) {
    found.insert(found.end(), {probe(weights, 23), probe(weights, 24)});
    total = total + (weights * formula(weights.shape(), 17)).sum();
  }
  std::map<std::string, Tensor> parameters;
  for (const auto& [name, parameter] : layer.named_parameters()) parameters[name] = parameter;
  Tensors wanted = in;
  for (const auto& entry : parameters) wanted.push_back(entry.second);
  for (const Tensor& grad : autograd::grad({total}, wanted)) found.push_back(probe(grad, 25));
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(found[i] - expected[i]) < 1e-11);
  }
}

void check_near(const Tensor& tensor, const Values& expected, double tolerance = 1e-12) {
  const Values found = tensor.to_vector<double>();
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - expected[i]) < tolerance);
}

std::string keys_of(const nn::Module& module) {
  std::string out;
  for (const auto& entry : module.state_dict()) out += entry.first + " ";
  return out;
}

}  // namespace

TEST_CASE("MultiheadAttention has PyTorch's numbers") {
  check_layer(
      {}, true, {},
      {0.1438321776424, -0.5360629653982, 0.4698445067052, -0.4373326134155, -0.05949000168092,
       -0.1151375684396, 0.6255199249671, 1.208341431405, 0.3043211971884, -0.448974609375, 0.5361299524856});
  check_layer(
      {.batch_first = true}, true,
      {.key_padding_mask = every_nth({kBatch, kKeys}, 3, 4),
       .attn_mask = every_nth({kQueries, kKeys}, 2, 3),
       .average_attn_weights = false},
      {-0.3330128844556, -0.5530380980104, 2.535816446546, -0.8796726989348, -0.09010837284918,
       -0.1637215375727, 1.227170593966, 1.229561653365, 1.203398253439, -0.448974609375, 0.3954015984161});
  check_layer({.bias = false, .kdim = 3, .vdim = 6}, true, {.attn_mask = formula({kQueries, kKeys}, 14)},
              {-0.07630977425901, 0.1520681347178, 0.5864720751284, -0.6231291725029, -0.07813080955551,
               -0.03644804167002, 1.431401028905, 0.01240807129031, -0.2921367956903, -0.04608361329519,
               0.4975458142527});
  check_layer(
      {}, true,
      {.key_padding_mask = formula({kBatch, kKeys}, 15), .attn_mask = formula({kQueries, kKeys}, 14)},
      {0.1174229771824, -0.5082276264067, 0.4839657869061, -0.4029454947963, -0.05755582640959,
       -0.1352437606745, 0.4411711142634, 1.21052969452, 0.493631179999, -0.448974609375, 0.3917604631073});
}

TEST_CASE("MultiheadAttention with added keys, and without a batch, has PyTorch's numbers") {
  check_layer({.add_bias_kv = true, .add_zero_attn = true}, true,
              {.key_padding_mask = every_nth({kBatch, kKeys}, 3, 4),
               .attn_mask = formula({kBatch * kHeads, kQueries, kKeys}, 14)},
              {-0.02657022406131, -0.495147756304, 0.9573250022742, 0.2353078693802, -0.04192311473037,
               -0.1362577095111, 0.7629302177262, 0.006648923080008, 0.5126891085314, 0.5776977473976,
               0.8487454950725, -0.448974609375, 0.05233713388136});
  check_layer({}, false,
              {.attn_mask = every_nth({kHeads, kQueries, kKeys}, 1, 3), .average_attn_weights = false},
              {0.495924316814, 0.05205889103677, 0.5177104560323, -0.5660344516084, -0.007307308856325,
               0.002877599102725, 0.9739277419351, 0.7714019833142, 0.2658268772755, -1.540771484375,
               1.076157453407});
  check_layer(
      {.add_zero_attn = true, .batch_first = true}, false, {.key_padding_mask = every_nth({kKeys}, 3, 4)},
      {0.3182829597257, 0.2292600313638, 0.7437320551843, -0.5659531466322, 0.01376755701823,
       0.06115620758074, 0.972839591503, 0.696485308164, 0.9203350877205, -1.540771484375, 0.5508413265143});
}

TEST_CASE("MultiheadAttention without weights, causal by mask or by hint, has PyTorch's numbers") {
  const Values plain{0.04554156771495,   -0.5450815779424, -0.02340027074574,
                     0.0007714855351009, 1.683907414741,   1.240356487562,
                     0.2180876325896,    -0.448974609375,  1.114349045976};
  check_layer({}, true, {.need_weights = false, .attn_mask = later_keys()}, plain);
  check_layer({}, true, {.need_weights = false, .attn_mask = later_keys(), .is_causal = true}, plain);
  check_layer({}, true, {.need_weights = false, .is_causal = true}, plain);
  const Values padded{0.6198311319175,    0.1161330878402,  0.02018455829586,  0.02344346524747,
                      -0.7116382908616,   0.05634171766914, 1.650187482355,    0.5441282744961,
                      -0.004705795841007, -0.448974609375,  -0.02856907216525, -0.002190313991808,
                      0.258069626047};
  const Options options{.add_bias_kv = true, .kdim = 3, .batch_first = true};
  const Tensor padding = every_nth({kBatch, kKeys}, 3, 4);
  check_layer(options, true, {.key_padding_mask = padding, .need_weights = false, .attn_mask = later_keys()},
              padded);
  check_layer(options, true, {.key_padding_mask = padding, .need_weights = false, .is_causal = true}, padded);
}

TEST_CASE("weights and output agree element by element with PyTorch's") {
  const nn::MultiheadAttention layer = made_by_formula({});
  const Tensors in = inputs_for({}, true);
  const auto [output, weights] = layer(in[0], in[1], in[2]);
  check_near(output.flatten(),
             {0.01877523855193819,  -0.4849495565643332,  -0.0035450784400610225, 0.9461842437835667,
              0.13708223190799718,  -0.4875946985345586,  -0.06619348252445889,   0.9066001016600607,
              0.025736700013502173, -0.4932066520428664,  -0.012418669685955841,  0.9364460346196447,
              0.12682844621312245,  -0.48097566632614386, -0.03350797669276229,   0.9038282288740052,
              0.02202684983174083,  -0.47686240766094284, -0.015535178503100266,  0.9603946237585461,
              0.12875760792441515,  -0.47867967795411714, -0.0578251679522922,    0.9175641914770325});
  CHECK(weights.shape() == Shape{kBatch, kQueries, kKeys});
  check_near(weights[0][0], {0.1844481011714666, 0.1759012559679765, 0.2420245993427741, 0.24290348674090675,
                             0.15472255677687613});
  const auto [narrow, none] = layer(in[0], in[1], in[2], {.need_weights = false});
  CHECK_FALSE(none.defined());
  check_near(narrow.flatten(), output.to_vector<double>());
}

TEST_CASE("MultiheadAttention in float32 and bfloat16") {
  const nn::MultiheadAttention layer = made_by_formula({});
  const Tensors in = inputs_for({}, true);
  const Values expected = layer(in[0], in[1], in[2]).first.to_vector<double>();
  for (const auto& [dtype, tolerance] : {std::pair{f32, 1e-6}, {bf16, 2e-2}}) {
    layer.to(dtype);
    const Tensors narrow = inputs_for({}, true, dtype);
    const auto [output, weights] = layer(narrow[0], narrow[1], narrow[2]);
    CHECK(output.dtype() == dtype);
    CHECK(weights.dtype() == dtype);
    check_near(output, expected, tolerance);
  }
}

TEST_CASE("keys, shapes and initial values are PyTorch's") {
  manual_seed(1);
  const nn::MultiheadAttention plain(64, 4);
  CHECK(keys_of(plain) == "in_proj_weight in_proj_bias out_proj.weight out_proj.bias ");
  CHECK(plain.in_proj_weight.shape() == Shape{192, 64});
  const auto most = [](const Tensor& tensor) { return tensor.detach().abs().amax().item<double>(); };
  const double bound = std::sqrt(6.0 / (192 + 64));
  CHECK(most(plain.in_proj_weight) <= bound);
  CHECK(most(plain.in_proj_weight) > 0.99 * bound);
  CHECK(most(plain.out_proj.weight) <= 1.0 / 8);
  CHECK(most(plain.out_proj.weight) > 0.99 / 8);
  CHECK(most(plain.in_proj_bias) == 0);
  CHECK(most(plain.out_proj.bias) == 0);

  const nn::MultiheadAttention full(
      64, 4, {.bias = false, .add_bias_kv = true, .add_zero_attn = true, .kdim = 32, .vdim = 16});
  CHECK(keys_of(full) == "q_proj_weight k_proj_weight v_proj_weight bias_k bias_v out_proj.weight ");
  CHECK(full.k_proj_weight.shape() == Shape{64, 32});
  CHECK(full.v_proj_weight.shape() == Shape{64, 16});
  CHECK(full.bias_k.shape() == Shape{1, 1, 64});
  CHECK(most(full.k_proj_weight) <= 0.25);  // sqrt(6 / (64 + 32))
  CHECK(most(full.k_proj_weight) > 0.99 * 0.25);
  const double std = std::sqrt(full.bias_v.detach().square().mean().item<double>());
  CHECK(std == doctest::Approx(std::sqrt(2.0 / 128)).epsilon(0.4));
  CHECK(keys_of(nn::MultiheadAttention(8, 2, {.kdim = 8, .vdim = 8})) ==
        "in_proj_weight in_proj_bias out_proj.weight out_proj.bias ");
  CHECK(nn::forgotten_fields([] { return nn::MultiheadAttention(8, 2, {.add_bias_kv = true, .kdim = 4}); }) ==
        "");
  CHECK(nn::forgotten_fields([] { return nn::MultiheadAttention(8, 2); }) == "");
}

TEST_CASE("a query without keys: weights of 0, and out_proj.bias") {
  const nn::MultiheadAttention layer = made_by_formula({});
  const Tensors in = inputs_for({}, true);
  const Tensor padding = Tensor::from({0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, {kBatch, kKeys}, boolean);
  for (const bool need_weights : {true, false}) {
    const auto [output, weights] =
        layer(in[0], in[1], in[2], {.key_padding_mask = padding, .need_weights = need_weights});
    for (std::int64_t i = 0; i < kQueries; ++i)
      check_near(output[i][1], layer.out_proj.bias.to_vector<double>(), 1e-15);
    if (need_weights) check_near(weights[1].flatten(), Values(15, 0));
    for (const Tensor& grad : autograd::grad({output.sum()}, {in[0], in[1], in[2]}))
      for (const double value : grad.to_vector<double>()) CHECK(std::isfinite(value));
  }
  nn::MultiheadAttention zero = made_by_formula({.add_zero_attn = true});
  const auto [output, weights] = zero(in[0], in[1], in[2], {.key_padding_mask = padding});
  check_near(weights[1][0], {0, 0, 0, 0, 0, 1});  // the added key is left
}

TEST_CASE("dropout acts on the weights in train() alone") {
  nn::MultiheadAttention layer(4, 2, {.dropout = 0.5});
  const Tensor x = randn({40, 3, 4});
  const auto weights = layer(x, x, x, {.average_attn_weights = false}).second.to_vector<double>();
  const auto dropped = static_cast<double>(std::count(weights.begin(), weights.end(), 0.0));
  CHECK(dropped / static_cast<double>(weights.size()) == doctest::Approx(0.5).epsilon(0.1));
  const auto run = [&](bool need) {
    return layer(x, x, x, {.need_weights = need}).first.to_vector<double>();
  };
  CHECK(run(false) != run(false));
  layer.eval();
  CHECK(run(false) == run(false));
  check_near(layer(x, x, x).first, run(false), 1e-5);
}

TEST_CASE("a causal call's weights are those of the mask written out, and of its output") {
  const Tensor padding = every_nth({kBatch, kKeys}, 3, 4);
  for (const bool bias_kv : {false, true})
    for (const bool zero : {false, true})
      for (const Tensor& mask : {Tensor(), padding}) {
        const nn::MultiheadAttention layer =
            made_by_formula({.add_bias_kv = bias_kv, .add_zero_attn = zero, .kdim = 3});
        const Tensors in = inputs_for(layer.options, true);
        const auto [expected, weights] =
            layer(in[0], in[1], in[2], {.key_padding_mask = mask, .attn_mask = later_keys()});
        const auto [output, causal] =
            layer(in[0], in[1], in[2], {.key_padding_mask = mask, .is_causal = true});
        check_near(output.flatten(), expected.to_vector<double>());
        check_near(causal.flatten(), weights.to_vector<double>());
        const Tensor narrow =
            layer(in[0], in[1], in[2], {.key_padding_mask = mask, .need_weights = false, .is_causal = true})
                .first;
        check_near(narrow.flatten(), expected.to_vector<double>());
      }
}

TEST_CASE("one seed drops the same weights with need_weights and without") {
  const Tensor padding = every_nth({kBatch, kKeys}, 3, 4);
  for (const bool causal : {false, true})
    for (const bool added : {false, true}) {
      nn::MultiheadAttention layer =
          made_by_formula({.dropout = 0.5, .add_bias_kv = added, .add_zero_attn = added});
      const Tensors in = inputs_for({}, true);
      const auto run = [&](bool need) {
        manual_seed(6);
        return layer(in[0], in[1], in[2],
                     {.key_padding_mask = padding, .need_weights = need, .is_causal = causal})
            .first;
      };
      const Tensor with = run(true);
      check_near(run(false).flatten(), with.to_vector<double>());
      layer.eval();
      CHECK((run(true) - with).abs().amax().item<double>() > 1e-3);
    }
}

TEST_CASE("a long causal call with padding and added keys holds no matrix of scores") {
  constexpr std::int64_t length = 6000;  // 36 MB as a bool mask, 144 MB of scores
  nn::MultiheadAttention layer(4, 2, {.add_bias_kv = true, .add_zero_attn = true});
  const Tensor x = randn({length, 1, 4}), padding = zeros({1, length}, boolean);
  const no_grad guard;
  const std::int64_t before = memory_stats().current_bytes;
  reset_peak_memory();
  layer(x, x, x, {.key_padding_mask = padding, .need_weights = false, .is_causal = true});
  CHECK(memory_stats().peak_bytes - before < 30 << 20);
}

TEST_CASE("arguments that do not fit are refused") {
  CHECK_THROWS_WITH_AS(nn::MultiheadAttention(0, 1), doctest::Contains("MultiheadAttention: embed_dim is 0"),
                       Error);
  CHECK_THROWS_WITH_AS(nn::MultiheadAttention(6, 4), doctest::Contains("num_heads is 4"), Error);
  CHECK_THROWS_WITH_AS(nn::MultiheadAttention(6, 0), doctest::Contains("num_heads is 0"), Error);
  CHECK_THROWS_WITH_AS(nn::MultiheadAttention(6, 2, {.dropout = 1.5}), doctest::Contains("1.5"), Error);
  CHECK_THROWS_WITH_AS(nn::MultiheadAttention(6, 2, {.kdim = -3}), doctest::Contains("kdim is -3"), Error);
  for (const int bits : {40, 62})
    CHECK_THROWS_WITH_AS(nn::MultiheadAttention(std::int64_t{1} << bits, 2),
                         doctest::Contains("(MultiheadAttention): shape"), Error);
}

TEST_CASE("inputs and masks that do not fit are refused, naming the layer's path") {
  struct Block : nn::Module {
    nn::MultiheadAttention attention{4, 2, {.kdim = 3}};
    LUCID_FIELDS(attention)
  } block;
  block.parameters();
  const auto refuses = [&](const char* text, const Tensors& in, const nn::MultiheadAttentionCall& call = {}) {
    CHECK_THROWS_WITH_AS(block.attention(in[0], in[1], in[2], call),
                         doctest::Contains("MultiheadAttention (attention): "), Error);
    CHECK_THROWS_WITH_AS(block.attention(in[0], in[1], in[2], call), doctest::Contains(text), Error);
  };
  const Tensor q = ones({5, 2, 4}), k = ones({6, 2, 3}), v = ones({6, 2, 4});
  refuses("query is undefined", {Tensor(), k, v});
  refuses("value is undefined", {q, k, Tensor()});
  refuses("(4)", {ones({4}), k, v});
  refuses("query has shape (5, 2, 3)", {ones({5, 2, 3}), k, v});
  refuses("3 features", {q, v, v});
  refuses("all must be batched or none", {q, k[0], v[0]});
  refuses("key has shape (6, 2, 3), value (7, 2, 4)", {q, k, ones({7, 2, 4})});
  refuses("the batch sizes (axis 1) must agree", {ones({5, 3, 4}), k, v});
  refuses("key_padding_mask has shape (6, 2); (2, 6)", {q, k, v},
          {.key_padding_mask = ones({6, 2}, boolean)});
  refuses("attn_mask has shape (2, 5, 6); (5, 6) or (4, 5, 6)", {q, k, v},
          {.attn_mask = ones({2, 5, 6}, boolean)});
  refuses("uint8", {q, k, v}, {.attn_mask = ones({5, 6}, u8)});
  refuses("float64", {q, k, v}, {.attn_mask = ones({5, 6}, f64)});
  CHECK_THROWS_WITH_AS(block.attention(q.to(f64), k.to(f64), v.to(f64)),
                       doctest::Contains("linear (attention)"), Error);
}

TEST_CASE("empty batches and sequences pass") {
  const nn::MultiheadAttention layer(4, 2, {.batch_first = true});
  for (const bool need : {true, false}) {
    const auto run = [&](const Shape& q, const Shape& k) {
      return layer(ones(q), ones(k), ones(k), {.need_weights = need}).first.shape();
    };
    CHECK(run({0, 3, 4}, {0, 5, 4}) == Shape{0, 3, 4});
    CHECK(run({2, 0, 4}, {2, 5, 4}) == Shape{2, 0, 4});
    CHECK(run({2, 3, 4}, {2, 0, 4}) == Shape{2, 3, 4});
  }
}

TEST_CASE("MultiheadAttention learns to fetch the marked key") {
  manual_seed(5);
  nn::MultiheadAttention layer(8, 2, {.batch_first = true});
  optim::SGD optimizer(layer.parameters(), {.lr = 0.1, .momentum = 0.9});
  const Tensor x = randn({16, 6, 8});
  x.narrow(2, 7, 1).fill_(0.0);
  x.narrow(1, 2, 1).narrow(2, 7, 1).fill_(3.0);
  const Tensor target = x.narrow(1, 2, 1).expand({16, 6, 8});
  const auto loss = [&] { return mse_loss(layer(x, x, x, {.need_weights = false}).first, target); };
  const double before = loss().item<double>();
  for (int i = 0; i < 200; ++i) {
    optimizer.zero_grad();
    loss().backward();
    optimizer.step();
  }
  CHECK(loss().item<double>() < 0.1 * before);
  for (const double weight : layer(x, x, x).second.select(2, 2).to_vector<double>()) CHECK(weight > 0.5);
}

TEST_CASE("MultiheadAttention prints as PyTorch's") {
  CHECK(nn::MultiheadAttention(8, 2).str() ==
        "MultiheadAttention(\n  (out_proj): Linear(in_features=8, out_features=8, bias=True)\n)");
}
