#include "ops/kernels/rows.hpp"

#include <algorithm>
#include <cmath>

#include "ops/kernels/lanes.hpp"

namespace lucid::kernels {
namespace {

template <class T>
double wide(T value) {
  return static_cast<double>(static_cast<Compute<T>>(value));
}

// Sum of x - about, and of its square.
struct RowSums {
  double first = 0, second = 0;
};

constexpr std::int64_t kStep = 8;  // elements that are summed side by side

template <int Bytes>
using Sums = Lanes<double, Bytes, kStep>;

struct AddRow {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const T* x, std::int64_t n, double about, RowSums* out) {
    Sums<Bytes> first, second, value;
    std::int64_t i = 0;
    for (; i + kStep <= n; i += kStep) {
      value.load(x + i);
      value -= about;
      first += value;
      second.add_product(value, value);
    }
    for (std::int64_t k = 0; k < kStep; ++k) out->first += first[k], out->second += second[k];
    for (; i < n; ++i) {
      const double off = wide(x[i]) - about;
      out->first += off, out->second += off * off;
    }
  }
};

// Sums of g * w and of g * w * (x - mean).
struct AddRowGrads {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const T* g, const T* x, const double* w, std::int64_t n, double mean,
                                         RowSums* out) {
    Sums<Bytes> first, second, grad, value, weight;
    std::int64_t i = 0;
    for (; i + kStep <= n; i += kStep) {
      grad.load(g + i);
      weight.load(w + i);
      value.load(x + i);
      value -= mean;
      grad *= weight;
      first += grad;
      second.add_product(grad, value);
    }
    for (std::int64_t k = 0; k < kStep; ++k) out->first += first[k], out->second += second[k];
    for (; i < n; ++i) {
      const double flow = wide(g[i]) * w[i];
      out->first += flow, out->second += flow * (wide(x[i]) - mean);
    }
  }
};

template <class T, class C>
LUCID_VECTORIZED void map_row(T* out, const T* x, const C* weight, const C* bias, std::int64_t n, C mean,
                              C rest, C rstd) {
  for (std::int64_t i = 0; i < n; ++i)
    out[i] = static_cast<T>(((static_cast<C>(x[i]) - mean) - rest) * rstd * weight[i] + bias[i]);
}

// gx = g * w * rstd + (x - mean) * scale + shift. In double, which the cache hides: the terms cancel where
// rows are short.
template <class T>
LUCID_VECTORIZED void map_grad_row(T* out, const T* g, const T* x, const double* weight, std::int64_t n,
                                   double mean, double rstd, double scale, double shift) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double grad = static_cast<double>(static_cast<Compute<T>>(g[i]));
    const double off = static_cast<double>(static_cast<Compute<T>>(x[i])) - mean;
    out[i] = static_cast<T>(static_cast<Compute<T>>(grad * weight[i] * rstd + off * scale + shift));
  }
}

// Adds this row's share to the sums over rows.
template <class T>
LUCID_VECTORIZED void add_row(double* weight, double* bias, const T* g, const T* x, std::int64_t n,
                              double mean, double rstd) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double grad = static_cast<double>(static_cast<Compute<T>>(g[i]));
    weight[i] += grad * ((static_cast<double>(static_cast<Compute<T>>(x[i])) - mean) * rstd);
    bias[i] += grad;
  }
}

template <class C>
std::vector<C> parameter(const Tensor& values, std::int64_t columns, C otherwise) {
  return values.defined() ? values.to_vector<C>()
                          : std::vector<C>(static_cast<std::size_t>(columns), otherwise);
}

std::int64_t row_grain(const RowNorm& norm) {
  return std::max<std::int64_t>(kElementGrain / std::max<std::int64_t>(norm.columns, 1), 1);
}

}  // namespace

Tensor normalize_rows(const RowNorm& norm, const Tensor& input, const Tensor& weight, const Tensor& bias,
                      const Tensor& mean, const Tensor& rstd) {
  Tensor out = empty(input.shape(), input.dtype());
  dispatch_floating("normalize_rows", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const auto factors = parameter<C>(weight, norm.columns, C(1)),
               shifts = parameter<C>(bias, norm.columns, C(0));
    const T* x = input.data<T>();
    T* y = out.data_to_write<T>();
    double *means = mean.data_to_write<double>(), *rstds = rstd.data_to_write<double>();
    const auto count = static_cast<double>(norm.columns);
    parallel_for(norm.rows, row_grain(norm), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end && norm.columns > 0; ++row) {
        const T* from = x + row * norm.columns;
        const double about = norm.centred ? wide(from[0]) : 0.0;
        RowSums sums;
        run_for_registers<AddRow>(from, norm.columns, about, &sums);
        const double off = norm.centred ? sums.first / count : 0.0;
        means[row] = about + off;
        rstds[row] = 1 / std::sqrt(std::max(sums.second / count - off * off, 0.0) + norm.eps);
        const C near = static_cast<C>(means[row]);
        map_row(y + row * norm.columns, from, factors.data(), shifts.data(), norm.columns, near,
                static_cast<C>(means[row] - static_cast<double>(near)), static_cast<C>(rstds[row]));
      }
    });
  });
  return out;
}

RowGradients normalize_rows_backward(const RowNorm& norm, const Tensor& grad, const Tensor& input,
                                     const Tensor& weight, const Tensor& mean, const Tensor& rstd,
                                     std::array<bool, 3> wants) {
  RowGradients out;
  if (wants[0]) out.input = empty(input.shape(), input.dtype());
  const bool sums_wanted = wants[1] || wants[2];
  // Each range of rows has sums of its own, added in order at the end.
  const std::int64_t ranges = std::min<std::int64_t>(norm.rows, num_threads());
  const auto columns = static_cast<std::size_t>(norm.columns);
  std::vector<double> weights(sums_wanted ? static_cast<std::size_t>(ranges) * columns : 0), biases(weights);
  dispatch_floating("normalize_rows_backward", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto factors = parameter<double>(weight, norm.columns, 1.0);
    const T *x = input.data<T>(), *g = grad.data<T>();
    T* gx = wants[0] ? out.input.template data_to_write<T>() : nullptr;
    const double *means = mean.data<double>(), *rstds = rstd.data<double>();
    const auto count = static_cast<double>(norm.columns);
    parallel_for(ranges, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = norm.rows * begin / ranges; row < norm.rows * end / ranges; ++row) {
        const std::int64_t at = row * norm.columns;
        const double m = means[row], r = rstds[row];
        if (wants[0]) {
          RowSums sums;
          run_for_registers<AddRowGrads>(g + at, x + at, factors.data(), norm.columns, m, &sums);
          map_grad_row(gx + at, g + at, x + at, factors.data(), norm.columns, m, r,
                       -r * r * r * sums.second / count, norm.centred ? -r * sums.first / count : 0.0);
        }
        if (sums_wanted)
          add_row(weights.data() + begin * norm.columns, biases.data() + begin * norm.columns, g + at, x + at,
                  norm.columns, m, r);
      }
    });
  });
  const auto total = [&](const std::vector<double>& parts) {
    std::vector<double> sum(columns);
    for (std::size_t i = 0; i < parts.size(); ++i) sum[i % columns] += parts[i];
    return sum;
  };
  if (wants[1]) out.weight = total(weights);
  if (wants[2]) out.bias = total(biases);
  return out;
}

}  // namespace lucid::kernels
