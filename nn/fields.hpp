#pragma once
// How the fields of a module are found: one LUCID_FIELDS line names them, and everything that walks a tree of
// modules (names, saving, optimisers, printing, cloning) goes through a FieldVisitor.

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "lucid/tensor.hpp"

namespace lucid::nn {

struct Module;

/// Objects of the three kinds that are alive on this thread (made minus destroyed), for finding forgotten
/// fields.
struct LiveCounts {
  std::int64_t parameters = 0, buffers = 0, modules = 0;
  bool operator==(const LiveCounts&) const = default;
};
LiveCounts live_counts();

namespace detail {
enum class Kind { parameter, buffer, module };
void count_live(Kind kind, std::int64_t change);

/// A base that counts how many objects of a kind are alive.
template <Kind kind>
struct Live {
  Live() { count_live(kind, 1); }
  Live(const Live&) : Live() {}
  ~Live() { count_live(kind, -1); }
  Live& operator=(const Live&) = default;
};
}  // namespace detail

/// A tensor that training changes: a leaf that requires a gradient. Undefined stands for none (no bias).
class Parameter : public Tensor, private detail::Live<detail::Kind::parameter> {
 public:
  Parameter() = default;
  /// A leaf over the elements of `value`, which keeps its own flags.
  Parameter(const Tensor& value, bool requires_grad = true);
};

/// A tensor that is saved with the parameters and not trained, for example a running mean.
class Buffer : public Tensor, private detail::Live<detail::Kind::buffer> {
 public:
  Buffer() = default;
  Buffer(const Tensor& value) : Tensor(value.defined() ? value.detach() : value) {}
};

/// Sees the direct fields of one module, in the order of its LUCID_FIELDS line. Members of lists have names
/// like "ups.0".
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void parameter(const std::string& name, Parameter& field) = 0;
  virtual void buffer(const std::string& name, Buffer& field) = 0;
  virtual void module(const std::string& name, Module& field) = 0;
  /// Around the members of a vector or array of fields.
  virtual void enter_list(const std::string&) {}
  virtual void leave_list() {}
};

namespace detail {

template <class T>
inline constexpr bool is_not_a_field = false;

template <class T>
concept Pointer = requires(T& field) {
  field.get(), *field;
};
template <class T>
concept Optional = requires(T& field) {
  field.has_value(), *field;
};
template <class T>
concept List = requires(T& field) {
  field.begin(), field.end(), field.size();
};

template <class T>
void visit_field(FieldVisitor& visitor, const std::string& name, T& field) {
  if constexpr (std::derived_from<T, Parameter>) {
    visitor.parameter(name, field);
  } else if constexpr (std::derived_from<T, Buffer>) {
    visitor.buffer(name, field);
  } else if constexpr (std::derived_from<T, Module>) {
    visitor.module(name, field);
  } else if constexpr (Pointer<T> || Optional<T>) {
    if (field) visit_field(visitor, name, *field);
  } else if constexpr (List<T>) {
    visitor.enter_list(name);
    std::size_t index = 0;
    for (auto& member : field) visit_field(visitor, lucid::str(name, ".", index++), member);
    visitor.leave_list();
  } else {
    static_assert(is_not_a_field<T>,
                  "LUCID_FIELDS takes Parameters, Buffers, Modules, and vectors, arrays, optionals and "
                  "smart pointers of them");
  }
}

/// The next of the names in "conv, norm".
std::string next_name(std::string_view& names);

template <class... Fields>
void visit_named_fields(FieldVisitor& visitor, std::string_view names, Fields&... fields) {
  (visit_field(visitor, next_name(names), fields), ...);
}

}  // namespace detail
}  // namespace lucid::nn

/// Names the fields of a module: `LUCID_FIELDS(conv, norm)` inside a struct derived from nn::Module.
#define LUCID_FIELDS(...)                                                        \
  void visit_fields(::lucid::nn::FieldVisitor& visitor) override {               \
    ::lucid::nn::detail::visit_named_fields(visitor, #__VA_ARGS__, __VA_ARGS__); \
  }

/// The same for a struct whose base has fields of its own, which come first.
#define LUCID_MORE_FIELDS(Base, ...)                                             \
  void visit_fields(::lucid::nn::FieldVisitor& visitor) override {               \
    Base::visit_fields(visitor);                                                 \
    ::lucid::nn::detail::visit_named_fields(visitor, #__VA_ARGS__, __VA_ARGS__); \
  }
