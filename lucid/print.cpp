// Tensors as text, in the manner of NumPy and PyTorch:
//
//   tensor([[1.0000, 0.5000],
//           [0.0000, 2.0000]], shape=(2, 2), dtype=float32)

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {
namespace {

constexpr std::int64_t kWhole = 1000;  // tensors of more elements are summarised
constexpr std::int64_t kEdge = 3;      // items shown at either end of a summarised axis
constexpr int kDigits = 4;
constexpr std::size_t kLineWidth = 80;
constexpr std::int64_t kGap = -1;  // stands for "..." among indices

// Which indices of an axis are shown.
std::vector<std::int64_t> shown(std::int64_t size, bool summarise) {
  std::vector<std::int64_t> out;
  const bool all = !summarise || size <= 2 * kEdge;
  for (std::int64_t i = 0; i < (all ? size : kEdge); ++i) out.push_back(i);
  if (all) return out;
  out.push_back(kGap);
  for (std::int64_t i = size - kEdge; i < size; ++i) out.push_back(i);
  return out;
}

// Reads single elements, whatever their type.
class Elements {
 public:
  explicit Elements(const Tensor& tensor) : tensor_(tensor) {}
  double number(std::int64_t offset) const {
    return dispatch_all(tensor_.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      return static_cast<double>(static_cast<Compute<T>>(tensor_.data<T>()[offset]));
    });
  }
  std::int64_t integer(std::int64_t offset) const {
    return dispatch_all(tensor_.dtype(), [&](auto tag) -> std::int64_t {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_integral_v<T>) return static_cast<std::int64_t>(tensor_.data<T>()[offset]);
      return 0;
    });
  }

 private:
  const Tensor& tensor_;
};

// How the elements shown are written: all alike, so that columns line up.
class Format {
 public:
  Format(const Tensor& tensor, const std::vector<std::int64_t>& offsets)
      : elements_(tensor), dtype_(tensor.dtype()) {
    if (is_floating(dtype_)) choose(offsets);
    for (std::int64_t offset : offsets) width_ = std::max(width_, text(offset).size());
  }
  std::string padded(std::int64_t offset) const {
    const std::string bare = text(offset);
    return std::string(width_ - bare.size(), ' ') + bare;
  }
  std::size_t width() const { return width_; }

 private:
  void choose(const std::vector<std::int64_t>& offsets) {
    double least = INFINITY, most = 0;
    for (std::int64_t offset : offsets) {
      const double value = std::abs(elements_.number(offset));
      if (!std::isfinite(value)) continue;
      whole_ = whole_ && value == std::floor(value);
      most = std::max(most, value);
      if (value > 0) least = std::min(least, value);
    }
    scientific_ = most >= 1e8 || (!whole_ && (least < 1e-4 || most / least > 1e3) && most > 0);
  }
  std::string text(std::int64_t offset) const {
    if (dtype_ == boolean) return elements_.integer(offset) ? "True" : "False";
    if (!is_floating(dtype_)) return std::to_string(elements_.integer(offset));
    const double value = elements_.number(offset);
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char buffer[400];  // the largest double has 309 digits
    if (scientific_)
      std::snprintf(buffer, sizeof buffer, "%.*e", kDigits, value);
    else if (whole_)
      std::snprintf(buffer, sizeof buffer, "%.0f.", value);
    else
      std::snprintf(buffer, sizeof buffer, "%.*f", kDigits, value);
    return buffer;
  }

  Elements elements_;
  DType dtype_;
  bool whole_ = true;
  bool scientific_ = false;
  std::size_t width_ = 0;
};

class Printer {
 public:
  explicit Printer(const Tensor& tensor)
      : tensor_(tensor), summarise_(tensor.numel() > kWhole), format_(tensor, offsets()) {}

  std::string print() {
    block(0, 0);
    return std::move(out_);
  }

 private:
  std::vector<std::int64_t> offsets() const {
    std::vector<std::int64_t> out{0};
    if (tensor_.numel() == 0) return {};
    for (std::size_t axis = 0; axis < tensor_.shape().size(); ++axis) {
      std::vector<std::int64_t> next;
      for (std::int64_t base : out)
        for (std::int64_t i : shown(tensor_.shape()[axis], summarise_))
          if (i != kGap) next.push_back(base + i * tensor_.strides()[axis]);
      out = std::move(next);
    }
    return out;
  }

  void block(std::size_t axis, std::int64_t base) {
    const std::size_t rank = tensor_.shape().size();
    if (axis == rank) {
      out_ += format_.padded(base);
      return;
    }
    out_ += '[';
    const bool innermost = axis + 1 == rank;
    const std::size_t indent = kStart + axis + 1;
    const std::size_t per_line =
        std::max<std::size_t>(1, (kLineWidth - std::min(kLineWidth, indent)) / (format_.width() + 2));
    std::size_t count = 0;
    for (std::int64_t i : shown(tensor_.shape()[axis], summarise_)) {
      if (count > 0 && innermost && count % per_line != 0) out_ += ", ";
      if (count > 0 && (!innermost || count % per_line == 0))
        out_.append(",").append(innermost ? 1 : rank - axis - 1, '\n').append(indent, ' ');
      ++count;
      if (i == kGap)
        out_ += "...";
      else
        block(axis + 1, base + i * tensor_.strides()[axis]);
    }
    out_ += ']';
  }

  static constexpr std::size_t kStart = 7;  // "tensor("

  const Tensor& tensor_;
  bool summarise_;
  Format format_;
  std::string out_;
};

}  // namespace

std::string Tensor::str() const {
  if (!defined()) return "tensor(undefined)";
  const std::string grad = requires_grad() ? ", requires_grad" : "";
  return lucid::str("tensor(", Printer(*this).print(), ", shape=", shape(), ", dtype=", dtype(), grad, ")");
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << tensor.str(); }

}  // namespace lucid
