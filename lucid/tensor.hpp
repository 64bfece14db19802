#pragma once
// Tensor: a handle to a strided block of elements and, when recorded, to its place in the computation graph.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lucid/dtype.hpp"
#include "lucid/error.hpp"
#include "lucid/shape.hpp"
#include "lucid/storage.hpp"

namespace lucid {

class Tensor;
using Tensors = std::vector<Tensor>;

namespace autograd {
class Node;
struct Meta;  // what the graph knows of one tensor (autograd/node.hpp)
using Hook = std::function<Tensor(const Tensor& grad)>;
}  // namespace autograd

/// A number given where a tensor could stand: keeps whether it was written as floating, integer or bool.
class Scalar {
 public:
  Scalar(double value) : floating_(value), kind_(Kind::floating) {}
  Scalar(float value) : Scalar(static_cast<double>(value)) {}
  Scalar(std::int64_t value) : floating_(static_cast<double>(value)), integer_(value), kind_(Kind::integer) {}
  Scalar(int value) : Scalar(static_cast<std::int64_t>(value)) {}
  Scalar(long long value) : Scalar(static_cast<std::int64_t>(value)) {}
  Scalar(bool value) : Scalar(static_cast<std::int64_t>(value)) { kind_ = Kind::truth; }

  bool is_floating() const { return kind_ == Kind::floating; }
  bool is_boolean() const { return kind_ == Kind::truth; }
  template <class T>
  T to() const {
    if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, bfloat16>)
      return static_cast<T>(floating_);
    else
      return is_floating() ? static_cast<T>(floating_) : static_cast<T>(integer_);
  }
  /// Throws Error unless the integer type `dtype` has a value for this, a fraction being cut off; any other
  /// type takes all.
  void require_fits(std::string_view op, DType dtype) const;

 private:
  enum class Kind : std::uint8_t { floating, integer, truth };
  double floating_ = 0;
  std::int64_t integer_ = 0;
  Kind kind_;
};

/// The state behind a Tensor handle.
struct TensorImpl {
  TensorImpl();
  ~TensorImpl();
  TensorImpl(const TensorImpl&) = delete;
  TensorImpl& operator=(const TensorImpl&) = delete;

  std::shared_ptr<Storage> storage;
  Shape shape;
  Strides strides;          // in elements
  std::int64_t offset = 0;  // in elements
  std::int64_t numel = 0;
  DType dtype = DType::f32;
  bool requires_grad = false;                // true for leaves that want a gradient and for recorded results
  std::unique_ptr<autograd::Meta> autograd;  // null until the graph has something to say
};

struct BackwardOptions {
  bool retain_graph = false;  ///< keep saved tensors, so that the graph can be walked again
  bool create_graph = false;  ///< record the backward pass itself; implies retain_graph
};

/// Copying a Tensor copies the handle; clone() copies the elements. Methods that compute are differentiable
/// and recorded unless said otherwise. They are declared here for reading ease and defined one floor up or
/// two: those about the graph in autograd/, those that compute in ops/.
class Tensor {
 public:
  Tensor() = default;  ///< undefined: stands for "no tensor", for example no bias

  /// Copies `values` in row-major order. Throws Error unless there are exactly as many as `shape` holds.
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape) {
    return from_bytes(std::as_bytes(values), static_cast<std::int64_t>(values.size()), shape, dtype_of<T>());
  }
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from(std::span<const T>(values), shape);
  }
  static Tensor from(std::initializer_list<double> values, const Shape& shape, DType dtype = f32);
  /// A tensor over memory that somebody else owns, who keeps it until the last handle goes; then `release`
  /// runs, if given. `strides` in elements. Throws Error for negative strides and for null.
  static Tensor from_blob(void* data, const Shape& shape, const Strides& strides, DType dtype,
                          std::function<void()> release = {});

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const { return impl_->shape; }
  const Strides& strides() const { return impl_->strides; }
  std::int64_t size(std::int64_t axis) const { return shape()[normalize_axis("size", axis, shape().size())]; }
  std::int64_t dim() const { return static_cast<std::int64_t>(shape().size()); }
  std::int64_t numel() const { return impl_->numel; }
  std::int64_t offset() const { return impl_->offset; }
  DType dtype() const { return impl_->dtype; }
  std::int64_t nbytes() const { return numel() * size_of(dtype()); }
  bool is_contiguous() const { return lucid::is_contiguous(shape(), strides()); }
  bool is_channels_last() const { return lucid::is_channels_last(shape(), strides()); }
  bool is_dense() const { return lucid::is_dense(shape(), strides()); }

  /// The first element. Throws Error when T is not the tensor's type. Elements lie at strides().
  template <class T>
  const T* data() const {
    require_dtype(dtype_of<T>());
    return reinterpret_cast<const T*>(impl_->storage->data()) + impl_->offset;
  }
  /// As data(), for writing: counts as an in-place change. The pointer may be kept and written through later,
  /// so nothing is remembered about these elements any more (a convolution reads its weight anew each time).
  template <class T>
  T* mutable_data() const {
    impl_->storage->set_shared();
    return data_to_write<T>();
  }
  /// The same for a kernel, which writes at once and does not keep the pointer.
  template <class T>
  T* data_to_write() const {
    require_dtype(dtype_of<T>());
    impl_->storage->bump_version();
    return reinterpret_cast<T*>(impl_->storage->data()) + impl_->offset;
  }
  /// The value of a tensor of one element, converted to T. Throws Error unless numel() is 1.
  template <class T>
  T item() const;
  /// All elements in logical row-major order, converted to T.
  template <class T>
  std::vector<T> to_vector() const;
  /// The printed form: values (the outer ones where there are many), shape and dtype.
  std::string str() const;

  // ---- graph (autograd/) ----
  bool requires_grad() const { return impl_->requires_grad; }
  /// Throws Error on an integer tensor or on a recorded result.
  const Tensor& requires_grad_(bool wanted = true) const;
  bool is_leaf() const;
  /// The gradient accumulated by backward(); undefined before.
  Tensor grad() const;
  void set_grad(const Tensor& grad) const;  ///< an undefined tensor clears it
  /// Adds d(this)/d(leaf) to the grad() of every leaf. `gradient` has this tensor's shape and may be left out
  /// for one element. Throws AutogradError when nothing is recorded or the graph was freed.
  void backward(const Tensor& gradient = {}, BackwardOptions options = {}) const;
  /// The same elements, not recorded.
  Tensor detach() const;
  /// `hook` sees (and may replace, by returning a defined tensor) each gradient that reaches this tensor.
  /// Returns an id for remove_hook(). The backward pass throws AutogradError when what replaces a gradient
  /// has another shape or dtype.
  std::int64_t register_hook(autograd::Hook hook) const;
  void remove_hook(std::int64_t id) const;
  /// Keep grad() for a recorded result too.
  void retain_grad() const;
  std::shared_ptr<autograd::Node> grad_fn() const;
  std::uint32_t version() const { return impl_->storage->version(); }

  // ---- copies, types, views (ops/) ----
  Tensor clone() const;
  Tensor to(DType dtype) const;
  Tensor contiguous() const;     ///< row-major; itself when it already is
  Tensor channels_last() const;  ///< (N, C, spatial...) with C innermost in memory; itself when it already is
  Tensor reshape(const Shape& shape) const;  ///< one size may be -1; a view when the strides allow it
  Tensor flatten(std::int64_t start = 0, std::int64_t end = -1) const;
  Tensor permute(std::span<const std::int64_t> dims) const;
  Tensor permute(std::initializer_list<std::int64_t> dims) const {
    return permute(std::span(dims.begin(), dims.size()));
  }
  Tensor transpose(std::int64_t dim0, std::int64_t dim1) const;
  Tensor squeeze() const;
  Tensor squeeze(std::int64_t dim) const;
  Tensor unsqueeze(std::int64_t dim) const;
  Tensor expand(const Shape& shape) const;  ///< -1 keeps a size
  Tensor slice(std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step = 1) const;
  Tensor narrow(std::int64_t dim, std::int64_t start, std::int64_t length) const;
  Tensor select(std::int64_t dim, std::int64_t index) const;
  Tensor operator[](std::int64_t index) const { return select(0, index); }
  /// Sums over broadcast axes until the shape is `shape`: the adjoint of expand.
  Tensor sum_to(const Shape& shape) const;

  // ---- arithmetic (ops/); two tensors broadcast, and types promote as PyTorch's do ----
  Tensor operator-() const;
  Tensor abs() const;
  Tensor exp() const;
  Tensor log() const;
  Tensor sqrt() const;
  Tensor square() const;
  Tensor relu() const;
  Tensor sigmoid() const;
  Tensor tanh() const;
  Tensor pow(const Scalar& exponent) const;
  Tensor matmul(const Tensor& other) const;
  /// Over `dims` (all when empty).
  Tensor sum(const std::vector<std::int64_t>& dims = {}, bool keepdim = false) const;
  Tensor mean(const std::vector<std::int64_t>& dims = {}, bool keepdim = false) const;
  Tensor var(const std::vector<std::int64_t>& dims = {}, std::int64_t correction = 1,
             bool keepdim = false) const;
  Tensor amax(const std::vector<std::int64_t>& dims = {}, bool keepdim = false) const;
  Tensor amin(const std::vector<std::int64_t>& dims = {}, bool keepdim = false) const;
  Tensor argmax(std::int64_t dim, bool keepdim = false) const;  ///< int64; not differentiable
  Tensor softmax(std::int64_t dim) const;
  Tensor log_softmax(std::int64_t dim) const;

  // ---- in place (ops/): recorded as the out-of-place op would be. Throw AutogradError on a leaf that
  // requires a gradient and on a view of a recorded tensor, while recording. All but fill_ throw Error on a
  // tensor that repeats its elements (expand); the operand may share memory with the tensor in any way ----
  const Tensor& fill_(const Scalar& value) const;
  const Tensor& zero_() const { return fill_(0.0); }
  const Tensor& copy_(const Tensor& source) const;  ///< broadcasts and converts
  const Tensor& add_(const Tensor& other, double alpha = 1.0) const;
  const Tensor& mul_(const Tensor& other) const;
  const Tensor& mul_(const Scalar& other) const;

  TensorImpl& impl() const { return *impl_; }
  const std::shared_ptr<TensorImpl>& handle() const { return impl_; }
  explicit Tensor(std::shared_ptr<TensorImpl> impl) : impl_(std::move(impl)) {}
  bool is_same(const Tensor& other) const { return impl_ == other.impl_; }

 private:
  static Tensor from_bytes(std::span<const std::byte> bytes, std::int64_t count, const Shape& shape,
                           DType dtype);
  void require_dtype(DType wanted) const;

  std::shared_ptr<TensorImpl> impl_;
};

std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

// ---- factories; none is recorded ----
Tensor empty(const Shape& shape, DType dtype = f32);  ///< uninitialised
Tensor empty_strided(const Shape& shape, const Strides& strides, DType dtype);
/// Uninitialised, of `like`'s shape, and of its strides when it is dense. Of a slice dense, with the axes in
/// its order; of an expanded tensor, whose order is open, contiguous.
Tensor empty_like(const Tensor& like);
Tensor empty_like(const Tensor& like, DType dtype);
/// Throws Error when `dtype` is an integer type that does not hold `value`; so does fill_.
Tensor full(const Shape& shape, const Scalar& value, DType dtype = f32);
Tensor zeros(const Shape& shape, DType dtype = f32);
Tensor ones(const Shape& shape, DType dtype = f32);
Tensor zeros_like(const Tensor& like);
Tensor ones_like(const Tensor& like);
Tensor scalar_tensor(const Scalar& value, DType dtype = f32);  ///< shape ()
Tensor arange(std::int64_t end, DType dtype = i64);
Tensor arange(double start, double end, double step, DType dtype = f32);
class Generator;
/// Uniform in [0, 1), N(0, 1), and integers in [low, high), from `generator` or else the default one.
Tensor rand(const Shape& shape, DType dtype = f32, Generator* generator = nullptr);
Tensor randn(const Shape& shape, DType dtype = f32, Generator* generator = nullptr);
Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, DType dtype = i64,
               Generator* generator = nullptr);

/// A view of `base`'s storage; not recorded. The caller vouches that the elements lie inside the storage.
Tensor alias(const Tensor& base, const Shape& shape, const Strides& strides, std::int64_t offset);

// ---- operators (ops/) ----
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, const Scalar& b);
Tensor operator-(const Tensor& a, const Scalar& b);
Tensor operator*(const Tensor& a, const Scalar& b);
Tensor operator/(const Tensor& a, const Scalar& b);
Tensor operator+(const Scalar& a, const Tensor& b);
Tensor operator-(const Scalar& a, const Tensor& b);
Tensor operator*(const Scalar& a, const Tensor& b);
Tensor operator/(const Scalar& a, const Tensor& b);
/// Element by element; the result is bool.
Tensor operator<(const Tensor& a, const Tensor& b);
Tensor operator<=(const Tensor& a, const Tensor& b);
Tensor operator>(const Tensor& a, const Tensor& b);
Tensor operator>=(const Tensor& a, const Tensor& b);
Tensor operator==(const Tensor& a, const Tensor& b);
Tensor operator!=(const Tensor& a, const Tensor& b);
Tensor operator<(const Tensor& a, const Scalar& b);
Tensor operator<=(const Tensor& a, const Scalar& b);
Tensor operator>(const Tensor& a, const Scalar& b);
Tensor operator>=(const Tensor& a, const Scalar& b);
Tensor operator==(const Tensor& a, const Scalar& b);
Tensor operator!=(const Tensor& a, const Scalar& b);

}  // namespace lucid
