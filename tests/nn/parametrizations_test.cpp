// Weight and spectral normalisation: PyTorch 1.13's numbers (torch.nn.utils.weight_norm, parametrizations.
// spectral_norm, in float64), keys, copies, files, types, training.
#include "nn/parametrizations.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "lucid/random.hpp"
#include "nn/linear.hpp"
#include "nn/norm.hpp"
#include "nn/optim/sgd.hpp"
#include "nn/sequential.hpp"
#include "ops/loss.hpp"
#include "ops/matmul.hpp"
#include "ops/reduce.hpp"

using namespace lucid;

namespace {

using Values = std::vector<double>;

const Values kWeight{0, .375, -.125, .25, -.25, .125, .5, 0, .375, -.125, .25, -.25};
const Values kInput{.5, -1, 2, 0, 1, 1.5, -.5, .25};

Tensor from(const Values& values, const Shape& shape) { return Tensor::from(values, shape); }

void check_near(const Tensor& found, const Values& expected) {
  const Values values = found.to_vector<double>();
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    CHECK(values[i] == doctest::Approx(expected[i]).epsilon(1e-10));
}

// float64, weight kWeight and bias 1/8, 2/8, ...
template <class M>
M plain(M layer) {
  layer.to(f64);
  const no_grad guard;
  layer.weight.copy_(from(kWeight, layer.weight.shape()));
  layer.bias.copy_(arange(1, 1.0 + static_cast<double>(layer.bias.numel()), 1, f64) * 0.125);
  return layer;
}

nn::Conv1d conv() { return plain(nn::Conv1d(2, 3, {.kernel_size = 2})); }

// d sum(k y_k) for k = 1, 2, ...
void backward_of(const Tensor& y) {
  (y * arange(1, 1.0 + static_cast<double>(y.numel()), 1, f64).reshape(y.shape())).sum().backward();
}

double largest_singular_value(const Tensor& weight) {
  const Tensor m = weight.reshape({weight.size(0), -1}).to(f64);
  Tensor v = ones({m.size(1), 1}, f64);
  for (int i = 0; i < 2000; ++i) {
    v = matmul(m.transpose(0, 1), matmul(m, v));
    v = v / v.square().sum().sqrt();
  }
  return matmul(m, v).square().sum().sqrt().item<double>();
}

}  // namespace

TEST_CASE("WeightNorm has PyTorch's numbers for every dim") {
  struct Expected {
    std::optional<std::int64_t> dim;
    Shape shape;
    Values g, g_grad, v_grad;
  };
  for (const Expected& e : {
           Expected{0,
                    {3, 1, 1},
                    {0.70156076002, 0.859232942804, 0.795495128835},
                    {2.405351177212, 4.800793585192, 10.135197197007},
                    {6.75, 1.607142857143, 4.714285714286, -0.053571428571, 16.642857142857, 7.428571428571,
                     6.464285714286, 7.5, 9.5, 17.083333333333, 14.583333333333, 20.291666666667}},
           Expected{1,
                    {1, 2, 1},
                    {0.918558653544, 1.009718401338},
                    {5.81753813911, 8.449137887056},
                    {6.75, -0.84375, 6.103448275862, -2.831896551724, 17.0625, 7.21875, 3.336206896552, 7.5,
                     14.90625, 15.28125, 17.043103448276, 17.831896551724}},
           Expected{
               std::nullopt,
               {},
               {1.36502060424},
               {10.164681732203},
               {6.75, -1.783018867925, 5.844339622642, -2.313679245283, 17.688679245283, 6.905660377358,
                4.372641509434, 7.5, 13.966981132075, 15.594339622642, 17.561320754717, 17.313679245283}},
       }) {
    nn::WeightNorm layer(conv(), {.dim = e.dim});
    check_near(layer.weight(), kWeight);
    layer.original0.detach().mul_(1.5);
    CHECK(layer.original0.shape() == e.shape);
    check_near(layer.original0, e.g);
    const Tensor y = layer(from(kInput, {1, 2, 4}));
    check_near(y, {-.0625, .78125, .3125, .625, 2.125, -.875, .65625, .1875, 1.21875});
    backward_of(y);
    check_near(layer.original0.grad(), e.g_grad);
    check_near(layer.original1.grad(), e.v_grad);
    check_near(layer.bias.grad(), {6, 15, 24});
  }
}

TEST_CASE("SpectralNorm has PyTorch's numbers after one and three iterations") {
  nn::SpectralNorm layer(conv());
  const auto load = [](auto& target, const Values& u, const Values& v) {
    const auto size = [](const Values& x) { return Shape{static_cast<std::int64_t>(x.size())}; };
    target.load_state_dict({{"parametrizations.weight.0._u", from(u, size(u))},
                            {"parametrizations.weight.0._v", from(v, size(v))}},
                           false);
  };
  load(layer, {1, 0, 0}, {.5, .5, .5, .5});
  const Values expected{-0.171893746409, 1.16412811243,  0.421893746409, 0.843787492817, 3.218937464086,
                        -1.531362478452, 0.820340619613, 0.078106253591, 1.711021858839};
  const Tensor x = from(kInput, {1, 2, 4}), y = layer(x);
  check_near(y, expected);
  check_near(layer.u, {0.742781352708, 0.557086014531, 0.371390676354});
  check_near(layer.v, {0, 0.716713200346, 0.661581415704, 0.220527138568});
  backward_of(y);
  check_near(layer.original.grad(), {10.68817487071, -20.654419658967, -19.705081600542, -5.578714712152,
                                     21.376349741419, -6.584002351967, 0.95655735925, 5.465010724166,
                                     32.064524612129, 7.486414955033, 21.618196319041, 16.508736160483});
  check_near(layer.bias.grad(), {6, 15, 24});
  layer.eval();  // the vectors stay as they are
  check_near(layer(x), expected);
  check_near(layer(x), expected);

  nn::SpectralNorm three(conv(), {.n_power_iterations = 3});
  load(three, {1, 0, 0}, {.5, .5, .5, .5});
  check_near(three(x), {-0.097180559295, 0.902631957533, 0.347180559295, 0.69436111859, 2.47180559295,
                        -1.08308335577, 0.708270838943, 0.152819440705, 1.374812516828});
  check_near(three.u, {0.302880829439, 0.941040188978, -0.15068697982});
  check_near(three.v, {-0.518600823377, 0.444443249214, 0.70206967503, 0.201547899079});

  nn::SpectralNorm up(plain(nn::ConvTranspose1d(3, 2, {.kernel_size = 2})));
  CHECK(up.options.dim == 1);
  const double sixth = 1 / std::sqrt(6.0);
  load(up, {.6, .8}, Values(6, sixth));
  const Tensor z = up(from({.5, -1, 2, 0, 1, 1.5}, {1, 3, 2}));
  check_near(
      z, {-0.049335548921, 1.345348842445, -0.659509970143, 1.906187714747, 0.773006646762, -0.621677744604});
  check_near(up.u, {0.624695047554, 0.780868809443});
  backward_of(z);
  check_near(up.original.grad(), {-1.626787168135, -4.836422225952, -3.602503900455, -7.440212173806,
                                  1.672794177339, 5.206546030333, 9.761756874186, 13.481604494745,
                                  3.531684122243, 10.368118916837, 13.480053696682, 21.153919445321});
}

TEST_CASE("SpectralNorm comes to divide by the largest singular value") {
  nn::SpectralNorm layer(nn::Conv3d(4, 6, {.kernel_size = 3}));
  for (int i = 0; i < 200; ++i) layer.weight();
  CHECK(largest_singular_value(layer.weight()) == doctest::Approx(1).epsilon(1e-4));
  nn::SpectralNorm fresh(nn::Linear(30, 20));
  fresh.eval();  // the first estimate alone
  CHECK(largest_singular_value(fresh.weight()) < 1.2);
  CHECK(largest_singular_value(fresh.weight()) > 0.99);
}

TEST_CASE("keys are PyTorch's, and a state goes through a file") {
  nn::WeightNorm<nn::Conv3d> normed{nn::Conv3d(2, 3, {.kernel_size = 2})};
  nn::SpectralNorm<nn::ConvTranspose3d> spectral{
      nn::ConvTranspose3d(2, 3, {.kernel_size = 2, .bias = false})};
  const auto keys = [](const nn::Module& module) {
    std::string out;
    for (const auto& entry : module.state_dict()) out += entry.first + " ";
    return out;
  };
  CHECK(keys(normed) == "bias parametrizations.weight.original0 parametrizations.weight.original1 ");
  CHECK(keys(spectral) ==
        "parametrizations.weight.original parametrizations.weight.0._u parametrizations.weight.0._v ");
  CHECK(normed.parameters().size() == 3);
  CHECK(spectral.parameters().size() == 1);
  CHECK(spectral.buffers().size() == 2);
  CHECK(spectral.u.shape() == Shape{3});
  CHECK(spectral.v.shape() == Shape{16});

  const std::string path = (std::filesystem::temp_directory_path() / "lucid_parametrizations").string();
  spectral.save(path);
  nn::SpectralNorm other{nn::ConvTranspose3d(2, 3, {.kernel_size = 2, .bias = false})};
  other.load(path);
  std::filesystem::remove(path);
  const Tensor x = randn({1, 2, 3, 3, 3});
  CHECK(other(x).to_vector<float>() == spectral(x).to_vector<float>());
}

TEST_CASE("a wrapped layer is a field, a copy, a clone and a stage like any other") {
  struct Net : nn::Module {
    nn::WeightNorm<nn::Conv3d> conv{nn::Conv3d(1, 2, {.kernel_size = 3, .padding = 1})};
    std::vector<nn::SpectralNorm<nn::Linear>> heads{nn::SpectralNorm{nn::Linear(2, 3)}};
    LUCID_FIELDS(conv, heads)
  } net;
  CHECK(nn::forgotten_fields([] { return Net(); }) == "");
  CHECK(net.state_dict().contains("conv.parametrizations.weight.original0"));
  CHECK(net.state_dict().contains("heads.0.parametrizations.weight.0._u"));
  CHECK_THROWS_WITH_AS(net.conv(zeros({1, 3, 4, 4, 4})), doctest::Contains("conv3d (conv)"), Error);

  const Net copy = net, own = nn::clone(net);
  {
    const no_grad guard;
    net.conv.original0.fill_(0);
  }
  CHECK_FALSE(any(copy.conv.weight() != 0.0).item<bool>());
  CHECK(any(own.conv.weight() != 0.0).item<bool>());

  nn::Sequential stages(nn::WeightNorm(nn::Linear(4, 3)), nn::SpectralNorm(nn::Linear(3, 2)));
  CHECK(stages(ones({5, 4})).shape() == Shape{5, 2});
  CHECK(stages.state_dict().contains("1.parametrizations.weight.original"));
  CHECK(stages.str() ==
        "Sequential(\n"
        "  (0): WeightNorm<Linear>(in_features=4, out_features=3, bias=True, dim=0)\n"
        "  (1): SpectralNorm<Linear>(in_features=3, out_features=2, bias=True, n_power_iterations=1, dim=0)\n"
        ")");
  CHECK(nn::WeightNorm(nn::Conv3d(1, 8, {.kernel_size = 3}), {.dim = {}}).str() ==
        "WeightNorm<Conv3d>(1, 8, kernel_size=(3, 3, 3), stride=(1, 1, 1), dim=None)");
}

TEST_CASE("to() takes everything along, and extra arguments of the call reach the layer") {
  nn::SpectralNorm up(nn::ConvTranspose3d(2, 3, {.kernel_size = 3, .stride = 2}));
  up.to(f64);
  CHECK(up.u.dtype() == f64);
  CHECK(up.weight().dtype() == f64);
  CHECK(up(zeros({1, 2, 3, 3, 3}, f64), Shape{8, 7, 8}).shape() == Shape{1, 3, 8, 7, 8});
}

TEST_CASE("a normalised layer trains") {
  const Tensor x = randn({32, 6}), y = randn({32, 1}) * 0.1 + x.narrow(1, 0, 1);
  nn::WeightNorm normed(nn::Linear(6, 1));
  nn::SpectralNorm spectral(nn::Linear(6, 1));
  const auto train = [&](auto& layer) {
    optim::SGD optimizer(layer.parameters(), {.lr = 0.1});
    const double before = mse_loss(layer(x), y).template item<double>();
    for (int i = 0; i < 40; ++i) {
      optimizer.zero_grad();
      mse_loss(layer(x), y).backward();
      optimizer.step();
    }
    return mse_loss(layer(x), y).template item<double>() / before;
  };
  CHECK(train(normed) < 0.2);
  CHECK(train(spectral) < 0.8);  // its length stays 1
  CHECK(spectral.weight().square().sum().item<double>() == doctest::Approx(1));
}

TEST_CASE("two calls before one backward keep each its own vectors") {
  nn::SpectralNorm layer(conv());
  const Tensor x = from(kInput, {1, 2, 4});
  const Tensor first = layer(x), second = layer(x);
  (first.sum() + second.sum()).backward();
  CHECK(layer.original.grad().defined());
}

TEST_CASE("remove_parametrizations leaves an ordinary layer of the same weight") {
  nn::WeightNorm normed(conv());
  normed.original0.detach().mul_(2);
  const nn::Conv1d layer = normed.remove_parametrizations();
  check_near(layer.weight / 2.0, kWeight);
  CHECK(layer.weight.is_leaf());
  CHECK(layer.weight.requires_grad());
  CHECK(layer.state_dict().contains("weight"));
  const Tensor x = from(kInput, {1, 2, 4});
  check_near(layer(x), normed(x).to_vector<double>());
}

TEST_CASE("a weight of zeros stays 0, with finite gradients") {
  const nn::Conv1d zero = conv();
  {
    const no_grad guard;
    zero.weight.fill_(0);
  }
  const nn::WeightNorm normed(nn::clone(zero));
  const nn::SpectralNorm spectral(nn::clone(zero));
  const Tensor x = from(kInput, {1, 2, 4});
  for (const Tensor& y : {normed(x), spectral(x)}) {
    check_near(y, {.125, .125, .125, .25, .25, .25, .375, .375, .375});
    y.sum().backward();
  }
  for (const Tensor& p : {normed.original0, normed.original1, spectral.original})
    for (const double g : p.grad().to_vector<double>()) CHECK(std::isfinite(g));
}

TEST_CASE("weights of one axis, and arguments out of range") {
  nn::SpectralNorm norm(nn::LayerNorm(Shape{4}));
  check_near(norm.weight(), Values(4, 0.5));
  CHECK(norm.buffers().empty());
  check_near(nn::WeightNorm(nn::LayerNorm(Shape{4})).weight(), Values(4, 1));
  CHECK_THROWS_WITH_AS(nn::WeightNorm(conv(), {.dim = 3}), doctest::Contains("WeightNorm: dim is 3"), Error);
  CHECK_THROWS_WITH_AS(nn::SpectralNorm(conv(), {.dim = -1}), doctest::Contains("SpectralNorm: dim is -1"),
                       Error);
  CHECK_THROWS_WITH_AS(nn::SpectralNorm(conv(), {.n_power_iterations = 0}),
                       doctest::Contains("n_power_iterations is 0"), Error);
  CHECK_THROWS_WITH_AS(nn::WeightNorm(nn::LayerNorm(Shape{4}, {.elementwise_affine = false})),
                       doctest::Contains("has no weight"), Error);
}
