#pragma once
// Layers whose weight is computed from other parameters, as by torch.nn.utils.parametrizations. The wrapper
// is the layer, with what its weight is computed from in place of the weight:
//
//   nn::WeightNorm<nn::Conv3d> conv{nn::Conv3d(1, 8, {.kernel_size = 3})};
//   nn::SpectralNorm up{nn::ConvTranspose3d(64, 32, {.kernel_size = 2, .stride = 2})};
//
// It stands wherever the layer may stand: in LUCID_FIELDS, in vectors, in a Sequential. Keys are PyTorch's:
// "bias", "parametrizations.weight.original0".

#include <concepts>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "autograd/grad_mode.hpp"
#include "nn/conv.hpp"
#include "nn/module.hpp"

namespace lucid::nn {

struct WeightNormOptions {
  std::optional<std::int64_t> dim =
      0;  ///< each slice along it has a norm of its own; empty: one norm for all
};

struct SpectralNormOptions {
  std::int64_t n_power_iterations = 1;   ///< of each call in train(); at least 1
  double eps = 1e-12;                    ///< a norm counts as at least this; above 0
  std::optional<std::int64_t> dim = {};  ///< the axis that gives the rows of the weight as a matrix; empty: 1
                                         ///< for transposed convolutions, else 0
};

template <class M>
concept HasWeight = std::derived_from<M, Module> && requires(M& layer) {
  { (layer.weight) } -> std::same_as<Parameter&>;
};

namespace detail {

template <class M>
inline constexpr bool is_transposed =
    std::derived_from<M, ConvTranspose<1>> || std::derived_from<M, ConvTranspose<2>> ||
    std::derived_from<M, ConvTranspose<3>>;

/// Throws Error when a layer to be wrapped has no weight, or `dim` is no axis of it.
void check_weight(std::string_view wrapper, const Tensor& weight, const std::optional<std::int64_t>& dim);
void check_options(const SpectralNormOptions& options);

/// Norms of the slices along `dim`, the other axes kept with size 1; that of the whole, (), when empty.
Tensor norm_except_dim(const Tensor& v, const std::optional<std::int64_t>& dim);
/// g v / |v|, and 0 where |v| is 0. Recorded.
Tensor normed_weight(const Tensor& g, const Tensor& v, const std::optional<std::int64_t>& dim);

/// Estimates of the singular vectors of the largest singular value; undefined for a weight of one axis.
struct SingularVectors {
  Tensor u, v;
};
SingularVectors start_vectors(const Tensor& weight, const SpectralNormOptions& options);
/// Better ones, new tensors. Not recorded.
SingularVectors power_iterations(const Tensor& weight, const SingularVectors& start, std::int64_t count,
                                 const SpectralNormOptions& options);
/// weight / (u^T matrix v), and 0 where that is 0. Recorded.
Tensor spectral_weight(const Tensor& weight, const SingularVectors& vectors,
                       const SpectralNormOptions& options);

/// What the wrappers share. Self computes weight(), which takes the place of the layer's.
template <class Self, HasWeight M>
struct Parametrized : M {
  explicit Parametrized(M layer) : M(std::move(layer)) {}

  /// The layer's own call.
  template <class... Arguments>
  Tensor operator()(const Tensor& input, const Arguments&... arguments) const {
    M layer = *this;  // copies handles
    static_cast<Tensor&>(layer.weight) = self().weight();
    return layer(input, arguments...);
  }
  /// The layer with an ordinary weight of its own, of the present value.
  M remove_parametrizations() const {
    const no_grad guard;
    M layer = *this;
    layer.weight = Parameter(self().weight().clone());
    return layer;
  }
  std::string type_name() const override { return lucid::str(Self::kName, "<", M(*this).type_name(), ">"); }
  std::string extra_repr() const override {
    const std::string inner = M::extra_repr();
    return inner + (inner.empty() ? "" : ", ") + self().own_repr();
  }

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }
};

}  // namespace detail

/// weight = g v / |v|, the norm over all axes but `dim`: Salimans & Kingma, "Weight normalization: a simple
/// reparameterization to accelerate training of deep neural networks" (2016, arXiv:1602.07868). Starts from
/// the layer's weight. Where |v| is 0 so is the weight.
template <HasWeight M>
struct WeightNorm : detail::Parametrized<WeightNorm<M>, M> {
  static constexpr std::string_view kName = "WeightNorm";

  explicit WeightNorm(M layer, const WeightNormOptions& options_ = {})
      : detail::Parametrized<WeightNorm, M>(std::move(layer)), options(options_) {
    const Parameter start = std::exchange(M::weight, Parameter());
    detail::check_weight(kName, start, options.dim);
    const no_grad guard;
    original0 = Parameter(detail::norm_except_dim(start, options.dim), start.requires_grad());
    original1 = Parameter(start.clone(), start.requires_grad());
  }

  Tensor weight() const { return detail::normed_weight(original0, original1, options.dim); }
  std::string own_repr() const { return options.dim ? lucid::str("dim=", *options.dim) : "dim=None"; }
  void visit_fields(FieldVisitor& visitor) override {
    M::visit_fields(visitor);
    visitor.parameter("parametrizations.weight.original0", original0);
    visitor.parameter("parametrizations.weight.original1", original1);
  }

  WeightNormOptions options;
  Parameter original0, original1;  // g, v
};

/// weight = original / sigma, with sigma an estimate by power iteration of its largest singular value as a
/// matrix: Miyato et al., "Spectral normalization for generative adversarial networks" (2018,
/// arXiv:1802.05957). Each weight(), and so each call, improves the estimate in train() and leaves it in
/// eval(). A weight of one axis is divided by its length. A weight of zeros stays 0.
template <HasWeight M>
struct SpectralNorm : detail::Parametrized<SpectralNorm<M>, M> {
  static constexpr std::string_view kName = "SpectralNorm";

  explicit SpectralNorm(M layer, const SpectralNormOptions& options_ = {})
      : detail::Parametrized<SpectralNorm, M>(std::move(layer)),
        options(options_),
        original(std::exchange(M::weight, Parameter())) {
    if (!options.dim) options.dim = detail::is_transposed<M> ? 1 : 0;
    detail::check_options(options);
    detail::check_weight(kName, original, options.dim);
    const detail::SingularVectors start = detail::start_vectors(original, options);
    u = start.u;
    v = start.v;
  }

  Tensor weight() const {
    detail::SingularVectors vectors{u, v};
    if (this->training() && u.defined()) {
      vectors = detail::power_iterations(original, vectors, options.n_power_iterations, options);
      const no_grad guard;
      u.copy_(vectors.u);  // the graph keeps the new ones: a second call must not change what the first saved
      v.copy_(vectors.v);
    }
    return detail::spectral_weight(original, vectors, options);
  }
  std::string own_repr() const {
    return lucid::str("n_power_iterations=", options.n_power_iterations, ", dim=", *options.dim);
  }
  void visit_fields(FieldVisitor& visitor) override {
    M::visit_fields(visitor);
    visitor.parameter("parametrizations.weight.original", original);
    visitor.buffer("parametrizations.weight.0._u", u);
    visitor.buffer("parametrizations.weight.0._v", v);
  }

  SpectralNormOptions options;
  Parameter original;
  Buffer u, v;  // (rows), (columns)
};

}  // namespace lucid::nn
