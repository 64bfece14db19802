#pragma once
// Module: a value with parameters, buffers and child modules as members.
//
//   struct Block : nn::Module {
//     nn::Conv3d conv{1, 8, {.kernel_size = 3, .padding = 1}};
//     nn::InstanceNorm3d norm{8};
//     LUCID_FIELDS(conv, norm)
//     Tensor operator()(const Tensor& x) const { return norm(conv(x)).relu(); }
//   };
//
// Copying a module copies handles: both copies train the same parameters. nn::clone() copies the elements.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lucid/error.hpp"
#include "lucid/named_tensors.hpp"
#include "lucid/tensor.hpp"
#include "nn/fields.hpp"

namespace lucid::nn {

/// What load_state_dict(strict = false) left aside.
struct StateDifference {
  std::vector<std::string> missing;     ///< keys that the module has and the state has not
  std::vector<std::string> unexpected;  ///< keys that the state has and the module has not
};

struct Module : private detail::Live<detail::Kind::module> {
  virtual ~Module() = default;

  /// Shows `visitor` the direct fields; written by LUCID_FIELDS.
  virtual void visit_fields(FieldVisitor& visitor);
  /// The struct's name without its namespace: "Conv3d".
  virtual std::string type_name() const;
  /// Arguments shown between the parentheses of str().
  virtual std::string extra_repr() const { return {}; }

  /// Every distinct defined parameter of the tree, in the order of the fields. Names read
  /// "decoder.2.up.weight", as PyTorch's for the same structure.
  std::vector<Tensor> parameters() const;
  std::vector<std::pair<std::string, Tensor>> named_parameters() const;
  std::vector<Tensor> buffers() const;
  std::vector<std::pair<std::string, Tensor>> named_buffers() const;
  std::int64_t num_parameters() const;  ///< elements of all parameters

  /// Parameters and buffers by name; they share their elements with the module and are not recorded.
  NamedTensors state_dict() const;
  /// Copies the elements of `state` in. Floating types are converted, other types must be equal. All keys,
  /// shapes and types are checked before anything is written: throws Error listing missing and unexpected
  /// keys (unless `strict` is false) and every tensor that does not fit.
  StateDifference load_state_dict(const NamedTensors& state, bool strict = true);
  /// state_dict() as a safetensors file. Throws IoError.
  void save(const std::string& path) const;
  void load(const std::string& path, bool strict = true);

  /// Chooses how dropout and batch norm behave in the whole tree. Recording of gradients is another matter.
  void train(bool mode = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  void zero_grad() const;  ///< clears grad() of all parameters
  void requires_grad_(bool wanted = true) const;
  /// Converts floating parameters and buffers in place: handles held elsewhere (by an optimiser) change too.
  void to(DType dtype) const;
  /// Calls f(path, module) for this module ("" for itself) and all below it, parents first.
  void for_each_module(const std::function<void(const std::string& path, Module& module)>& f);

  /// The tree as text, one line a module.
  std::string str() const;
  /// Where the last walk from a root found this module: "decoder.2.up"; errors of its call name it.
  const std::string& path() const { return path_; }

 private:
  friend class Walker;
  std::string path_;
  bool training_ = true;
};

std::ostream& operator<<(std::ostream& out, const Module& module);

namespace detail {
/// Gives every parameter and buffer below `module` elements of its own; those that were shared within the
/// tree stay shared within it.
void own_elements(Module& module);
std::string describe_forgotten(const LiveCounts& before, const LiveCounts& after, Module& module);
}  // namespace detail

/// A copy that shares no elements with `module`.
template <std::derived_from<Module> M>
M clone(const M& module) {
  M copy = module;
  detail::own_elements(copy);
  return copy;
}

/// Builds a module by `make` and compares what came to life with what its LUCID_FIELDS lines show. Returns ""
/// when they agree, else a sentence that counts what was forgotten.
template <class Make>
std::string forgotten_fields(Make&& make) {
  const LiveCounts before = live_counts();
  auto module = make();
  return detail::describe_forgotten(before, live_counts(), module);
}

}  // namespace lucid::nn
