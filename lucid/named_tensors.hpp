#pragma once
// Tensors by name, in the order in which they were added: what a file or a state dict holds.

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lucid/tensor.hpp"

namespace lucid {

class NamedTensors {
 public:
  using Entry = std::pair<std::string, Tensor>;

  NamedTensors() = default;
  NamedTensors(std::initializer_list<Entry> entries);  ///< throws Error on a repeated name

  /// Throws Error when the name is taken.
  void add(std::string name, Tensor tensor);
  /// Null when there is none of that name.
  const Tensor* find(std::string_view name) const;
  /// Throws Error naming `name` when there is none.
  const Tensor& at(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t, std::less<>> positions_;
};

}  // namespace lucid
